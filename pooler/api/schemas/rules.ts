// The bodies of rules. Keys that nobody knows are refused: a mistyped `expires_at` or list of
// networks that was silently dropped would grant more than was asked.
import { z } from 'zod'
import { isoTime, userId } from './common.ts'

/** Bounds of one mapping; a person with more rules than this wants another role, not another rule. */
export const rolesMax = 100
const networksMax = 100
const reasonCharactersMax = 500

const cidrList = z.array(z.strictObject({ cidr: z.string().max(64) })).max(networksMax)

export const roleGrant = z.strictObject({
  role: z.string().min(1).max(63),
  expires_at: z.number().nullish(),
  allowed_networks: z
    .strictObject({
      allowed_cidrs: cidrList.nullish(),
      allowed_cidrs_v6: cidrList.nullish(),
    })
    .nullish(),
  branches_only: z.boolean().nullish(),
  reason: z.string().max(reasonCharactersMax).nullish(),
})

export type RoleGrant = z.infer<typeof roleGrant>

const grants = z.array(roleGrant).max(rolesMax)

/** `roles` is the public API's key, `user_roles` its guide's and its answers'. */
export const mappingBody = z
  .object({ user_id: userId, roles: grants.optional(), user_roles: grants.optional() })
  .refine((body) => (body.roles === undefined) !== (body.user_roles === undefined), {
    path: ['roles'],
    message: 'give the whole list of roles, once, as roles or as user_roles',
  })

export const roleGrantAnswer = z.object({
  role: z.string(),
  expires_at: z.number().optional(),
  allowed_networks: z
    .object({
      allowed_cidrs: z.array(z.object({ cidr: z.string() })).optional(),
      allowed_cidrs_v6: z.array(z.object({ cidr: z.string() })).optional(),
    })
    .optional(),
  branches_only: z.boolean().optional(),
  reason: z.string().optional(),
})

/** What an invitation will give. */
export const invitedRoleAnswer = roleGrantAnswer.extend({
  expires_after_seconds: z.number().optional(),
})

export type RoleGrantAnswer = z.infer<typeof roleGrantAnswer>

export const mappingAnswer = z.object({
  user_id: z.string(),
  user_roles: z.array(roleGrantAnswer),
  warnings: z.array(z.string()).optional(),
})

export const mappingListAnswer = z.object({
  items: z.array(
    z.object({
      /** null: invited, and no member yet. */
      user_id: z.string().nullable(),
      primary_email: z.string().nullable(),
      user_roles: z.array(invitedRoleAnswer),
      invite_id: z.string().nullable(),
      /** Of the invitation. */
      expires_at: isoTime.nullable(),
    }),
  ),
})

export const assignableRolesAnswer = z.array(
  z.object({
    role: z.string(),
    assignable: z.boolean(),
    reason: z.string().nullable(),
    warnings: z.array(z.string()),
  }),
)

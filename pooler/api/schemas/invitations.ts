// The bodies of invitations.
import { z } from 'zod'
import { isoTime } from './common.ts'
import { invitedRoleAnswer, roleGrant, roleGrantAnswer, rolesMax } from './rules.ts'

const dayS = 86_400
const email = z.email().max(255)

const invitedGrant = roleGrant.extend({
  /** As rules themselves: 90 days at the most. */
  expires_after_seconds: z
    .int()
    .min(60)
    .max(90 * dayS)
    .nullish(),
})

export const inviteBody = z.strictObject({
  email,
  roles: z.array(invitedGrant).min(1).max(rolesMax),
})

export type InviteBody = z.infer<typeof inviteBody>

export const inviteAnswer = z.object({
  email: z.string(),
  invite_id: z.string(),
  user_roles: z.array(invitedRoleAnswer),
  expires_at: isoTime,
  /** Both only where no webhook brings the link. */
  link: z.string().optional(),
  token: z.string().optional(),
  warnings: z.array(z.string()).optional(),
})

export const acceptBody = z.strictObject({ email, token: z.string().min(1).max(256) })

export const acceptAnswer = z.object({
  user_id: z.string(),
  user_roles: z.array(roleGrantAnswer),
  /** The first token of a member who is new: shown here and never again. */
  token: z.string().optional(),
})

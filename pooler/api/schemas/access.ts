// Bodies around temporary access that are not rules: its state, the login question, sessions, events.
import { z } from 'zod'
import type { AccessAction } from '../../store/events.ts'
import { holdCursorPattern } from '../../store/holds.ts'
import { epochSeconds, isoTime, userId } from './common.ts'
import { roleGrantAnswer } from './rules.ts'

export const unavailableReason = z.enum([
  'platform_unsupported',
  'postgres_upgrade_required',
  'ssl_enforcement_required',
  'temporarily_unavailable',
])
export type UnavailableReason = z.infer<typeof unavailableReason>

export const stateBody = z.object({ state: z.enum(['enabled', 'disabled']) })
export const stateAnswer = z.union([
  z.object({
    state: z.enum(['enabled', 'disabled']),
    appliedSuccessfully: z.boolean().optional(),
  }),
  z.object({ state: z.literal('unavailable'), unavailableReason }),
])

export const sslBody = z.object({ requestedConfig: z.object({ database: z.boolean() }) })
export const sslAnswer = z.object({
  currentConfig: z.object({ database: z.boolean() }),
  appliedSuccessfully: z.boolean(),
})

const roleName = z.string().min(1).max(63)
const address = z.string().min(1).max(64)

export const loginBody = z.object({ role: roleName, rhost: address })
export const loginAnswer = z.object({ user_id: z.string(), user_role: roleGrantAnswer })

export const checkBody = z.object({ role: roleName.optional(), rhost: address.optional() })
export const checkAnswer = z.object({
  user_id: z.string(),
  rhost: z.string(),
  /** null: an outside authoriser decides, and is not asked for a dry run. */
  allowed: z.boolean().nullable(),
  results: z.array(
    z.object({
      /** null: asked without a role by somebody who has no rule. */
      role: z.string().nullable(),
      allowed: z.boolean().nullable(),
      expires_at: epochSeconds.nullable(),
      warnings: z.array(z.string()),
      checks: z.array(
        z.object({
          check: z.string(),
          /** null: could not be tested. */
          passed: z.boolean().nullable(),
          reason: z.string().nullable(),
          /** What to do about it. */
          hint: z.string().nullable(),
        }),
      ),
    }),
  ),
})

export const sessionListAnswer = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      user_id: z.string(),
      email: z.string().nullable(),
      role: z.string(),
      address: z.string(),
      application_name: z.string().nullable(),
      started_at: isoTime,
      expires_at: epochSeconds.nullable(),
    }),
  ),
})

const eventsPerPageMax = 500

const action = z.enum([
  'login',
  'asked',
  'refused',
  'ended',
  'rule_changed',
  'rule_removed',
  'token_created',
  'token_revoked',
  'session_created',
  'logged_out',
  'identity_linked',
  'identity_unlinked',
  'member_put',
  'member_removed',
  'membership_put',
  'membership_removed',
  'state_changed',
  'ssl_enforcement_changed',
  'ban_changed',
  'tenant_put',
  'tenant_removed',
  'branch_created',
  'branch_removed',
  'invitation_created',
  'invitation_accepted',
  'invitation_removed',
  'network_bans_lifted',
  'session_ended_by_hand',
  'console_command',
  'role_statement',
] satisfies AccessAction[])

export const eventQuery = z.object({
  user_id: userId.optional(),
  action: action.optional(),
  outcome: z.enum(['allowed', 'refused']).optional(),
  role: z.string().max(63).optional(),
  session_id: z.string().max(64).optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'is not a cursor of ours')
    .optional(),
  limit: z.coerce.number().int().min(1).max(eventsPerPageMax).default(100),
  format: z
    .enum(['json', 'ndjson', 'csv'])
    .optional()
    .describe('ndjson and csv give all that match, as a file; so does an Accept header for either'),
})

export const holdQuery = z.object({
  user_id: userId.optional(),
  session_id: z.string().max(64).optional(),
  server_process_id: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  cursor: z.string().regex(holdCursorPattern, 'is not a cursor of ours').optional(),
  limit: z.coerce.number().int().min(1).max(eventsPerPageMax).default(100),
})

export const holdListAnswer = z.object({
  items: z.array(
    z.object({
      session_id: z.string(),
      user_id: z.string(),
      role: z.string(),
      server_process_id: z
        .number()
        .describe("of the backend, as in pg_stat_activity and %p of the database's log"),
      from: isoTime,
      to: isoTime.nullable(),
    }),
  ),
  next_cursor: z.string().nullable(),
})

export const eventListAnswer = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      time: isoTime,
      project: z.string().nullable(),
      actor: z.string().nullable(),
      action: z.string(),
      user_id: z.string().nullable(),
      role: z.string().nullable(),
      address: z.string().nullable(),
      token_id: z.string().nullable(),
      token_name: z.string().nullable(),
      application_name: z.string().nullable(),
      session_id: z.string().nullable(),
      reason: z.string().nullable(),
      duration_ms: z.number().nullable(),
      transactions: z.number().nullable(),
      bytes: z.number().nullable(),
      count: z.number().nullable(),
      details: z.record(z.string(), z.unknown()).nullable(),
    }),
  ),
  next_cursor: z.string().nullable(),
})

// Members, their projects and their tokens.
import { z } from 'zod'
import { permissions } from '../../access/permissions.ts'
import { epochSeconds, isoTime } from './common.ts'

const textMax = 255

export const membershipRole = z.enum(['owner', 'administrator', 'developer', 'read_only', 'guest'])

export const membershipBody = z.object({ role: membershipRole })
export const membershipAnswer = z.object({
  user_id: z.string(),
  primary_email: z.string().nullable(),
  username: z.string(),
  role: membershipRole,
})

export const profileAnswer = z.object({
  gotrue_id: z.string(),
  primary_email: z.string().nullable(),
  username: z.string(),
})

export const projectListAnswer = z.array(
  z.object({
    id: z.string(),
    ref: z.string(),
    name: z.string(),
    created_at: isoTime,
    status: z.string(),
    role: membershipRole,
  }),
)

/** Bounds of one scope; who needs more of them leaves the list out. */
const scopeEntriesMax = 100

const permission = z.enum(permissions)

/**
 * An empty list is refused: it reads as nothing to one and as everything to another. So is a key that
 * nobody knows: a mistyped scope that was dropped would leave the token more rights than was asked.
 */
const scopeList = <Entry extends z.ZodType>(entry: Entry) =>
  z.array(entry).min(1).max(scopeEntriesMax).nullish()

export const tokenBody = z.strictObject({
  name: z.string().trim().min(1).max(textMax),
  expires_at: z.number().nullish(),
  permissions: scopeList(permission),
  projects: scopeList(z.string().min(1).max(128)),
  roles: scopeList(z.string().min(1).max(63)),
  networks: scopeList(z.string().max(64)),
})

export type TokenBody = z.infer<typeof tokenBody>

const tokenFields = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  permissions: z.array(permission).nullable(),
  projects: z.array(z.string()).nullable(),
  roles: z.array(z.string()).nullable(),
  networks: z.array(z.string()).nullable(),
  created_at: isoTime,
  expires_at: epochSeconds.nullable(),
  last_used_at: isoTime.nullable(),
})

export const tokenListAnswer = z.array(tokenFields)
export const newTokenAnswer = tokenFields.extend({ token: z.string() })

export const personBody = z.object({
  email: z.email().max(textMax).nullish(),
  name: z.string().trim().min(1).max(textMax),
  operator: z.boolean().optional(),
})

export const personAnswer = z.object({
  user_id: z.string(),
  email: z.string().nullable(),
  name: z.string(),
  operator: z.boolean(),
  created_at: isoTime,
})

export const poolerConfigAnswer = z.array(
  z.object({
    identifier: z.string(),
    database_type: z.string(),
    is_using_scram_auth: z.boolean(),
    db_user: z.string(),
    db_host: z.string(),
    db_port: z.number(),
    db_name: z.string(),
    connection_string: z.string(),
    default_pool_size: z.number(),
    max_client_conn: z.number(),
    pool_mode: z.string(),
  }),
)

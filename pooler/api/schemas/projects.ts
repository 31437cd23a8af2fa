// Projects, branches and what is around them under /v1. Keys that nobody knows are refused: what a
// project connects to must not depend on a typing error.
import { z } from 'zod'
import { isoTime } from './common.ts'
import { roleGrantAnswer } from './rules.ts'
import { tenantFields } from './tenants.ts'

const nameMax = 255
const projectName = z.string().trim().min(1).max(nameMax)

/** More users than this are put with /api/tenants. */
const usersMax = 100

const { db_host, db_port, db_database } = tenantFields.shape

export const projectBody = z.strictObject({
  name: projectName,
  ...tenantFields.pick({
    ip_version: true,
    upstream_ssl: true,
    upstream_verify: true,
    upstream_tls_ca: true,
    require_user: true,
    auth_query: true,
    default_pool_size: true,
    default_max_clients: true,
  }).shape,
  db_host: db_host.unwrap(),
  db_port: db_port.default(5432),
  db_database: db_database.unwrap(),
  users: tenantFields.shape.users.unwrap().max(usersMax),
})

export type ProjectBody = z.infer<typeof projectBody>

export const projectAnswer = z.object({
  id: z.string(),
  ref: z.string(),
  name: z.string(),
  created_at: isoTime,
  status: z.string(),
})

const branchUser = z.strictObject({
  db_user: z.string().min(1).max(63),
  db_password: z.string().min(1).max(4096),
})

/** `branch_name` is the public API's key. */
export const branchBody = z
  .strictObject({
    branch_name: projectName.optional(),
    name: projectName.optional(),
    db_host,
    db_port,
    db_database,
    users: z.array(branchUser).min(1).max(usersMax).optional(),
  })
  .refine((body) => (body.branch_name === undefined) !== (body.name === undefined), {
    path: ['branch_name'],
    message: 'name the branch, once, as branch_name or as name',
  })

export type BranchBody = z.infer<typeof branchBody>

export const branchAnswer = z.object({
  id: z.string(),
  name: z.string(),
  project_ref: z.string(),
  parent_project_ref: z.string(),
  is_default: z.literal(false),
  created_at: isoTime,
})

/** Without a password in them: clients ask for the token, or take it from PGPASSWORD. */
export const accessListAnswer = z.object({
  items: z.array(
    roleGrantAnswer.extend({
      project: z.object({
        ref: z.string(),
        name: z.string(),
        parent_project_ref: z.string().nullable(),
        state: z.enum(['enabled', 'disabled']),
      }),
      /** False: over, for branches only, or of a project where access is off. */
      is_active: z.boolean(),
      connection_strings: z.object({
        transaction: z.string(),
        session: z.string(),
        /** null: this pooler has no domain, or the ref is no DNS label. */
        direct: z.string().nullable(),
      }),
    }),
  ),
})

const addresses = z.array(z.string().max(64)).max(10_000)

export const networkBansAnswer = z.object({
  banned_ipv4_addresses: z.array(z.string()),
  banned_ipv6_addresses: z.array(z.string()),
})

export const liftNetworkBansBody = z.strictObject({
  ipv4_addresses: addresses.optional(),
  ipv6_addresses: addresses.optional(),
  /** The address that this request comes from. */
  requester_ip: z.boolean().optional(),
  /** Of a database in the public API, which has several; here there is one. */
  identifier: z.string().max(128).optional(),
})

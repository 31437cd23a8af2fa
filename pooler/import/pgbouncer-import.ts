// From pgbouncer.ini and its auth_file to projects: each of [databases] is one, under its own name, and
// clients put `.name` behind their user name.
import type { TenantFields } from '../api/schemas/tenants.ts'
import { type Import, ImportError, type ImportedTenant, refFault } from './imported-tenant.ts'
import {
  type IniEntry,
  readConnectString,
  readIni,
  readUserList,
  type UserEntry,
} from './ini-file.ts'
import { leftoverPairs, leftovers } from './pgbouncer-leftovers.ts'
import { correspondingKeys, processSettings } from './pgbouncer-settings.ts'

export interface PgbouncerFiles {
  readonly ini: string
  /** null: there is none. */
  readonly userList: string | null
  /** PEM of server_tls_ca_file; null: there is none. */
  readonly serverCa: string | null
}

type Globals = ReadonlyMap<string, string>
/** `key=value` pairs behind each name of [users]. */
type UserLimits = ReadonlyMap<string, ReadonlyMap<string, string>>

const minuteMs = 60_000
/** PgBouncer's own defaults, where ours differ. */
const defaults = { poolSize: 20, maxClients: 100, queryWaitSeconds: 120 }

/** Throws ImportError. What one database asks for and cannot have is a note, and the others go on. */
export function readPgbouncer(files: PgbouncerFiles): Import {
  const sections = readIni(files.ini)
  const globals = new Map((sections.get('pgbouncer') ?? []).map(({ key, value }) => [key, value]))
  const databases = sections.get('databases') ?? []
  if (databases.length === 0) throw new ImportError('there is no [databases] section with entries')
  const users = files.userList === null ? [] : readUserList(files.userList)
  const notes = [...globalNotes(globals, users), ...leftovers(sections, correspondingKeys)]
  const limits = userLimitsOf(sections.get('users') ?? [], notes)
  const tenants: ImportedTenant[] = []
  for (const { key: ref, value } of databases) {
    const note = (text: string): void => void notes.push(`${ref}: ${text}`)
    const fault = ref === '*' ? 'it stands for every database' : refFault(ref)
    const given = connectStringOf('databases', ref, value)
    const host = given.get('host')
    if (fault !== null) note(`no ref for a project, since ${fault}`)
    else if (host === undefined || host.startsWith('/')) note('a Unix socket; give it a host')
    else if (host.includes(',')) note('several hosts; make a project of each')
    else {
      const fields = fieldsOf(ref, given, host, globals, users, files, note)
      tenants.push({ ref, fields: withLimits(fields, limits, note) })
    }
  }
  const process = processSettings(globals)
  return { tenants, notes: [...notes, ...process.notes], settings: process.settings }
}

function connectStringOf(section: string, ref: string, text: string): ReadonlyMap<string, string> {
  try {
    return readConnectString(text)
  } catch (error) {
    throw new ImportError(`[${section}] ${ref}: ${(error as Error).message}`)
  }
}

function fieldsOf(
  ref: string,
  given: ReadonlyMap<string, string>,
  host: string,
  globals: Globals,
  users: readonly UserEntry[],
  files: PgbouncerFiles,
  note: (text: string) => void,
): TenantFields {
  const left = leftoverPairs('database', given)
  if (left.length > 0) note(`${left.join(', ')} is not taken over`)
  const mode = given.get('pool_mode') ?? globals.get('pool_mode') ?? 'session'
  if (mode === 'session') note('pool_mode session: clients use the session port')
  if (mode === 'statement') note('pool_mode statement: clients use the transaction port')
  const number = (name: string, global: string, fallback: number): number => {
    const text = given.get(name) ?? globals.get(global)
    return text === undefined ? fallback : numberOf(`${ref} ${name}`, text)
  }
  const servers = number('max_db_connections', 'max_db_connections', 0)
  return {
    db_host: host,
    db_port: number('port', '', 5432),
    db_database: given.get('dbname') ?? ref,
    default_pool_size: number('pool_size', 'default_pool_size', defaults.poolSize),
    default_min_pool_size: number('min_pool_size', 'min_pool_size', 0),
    max_server_connections: servers === 0 ? null : servers,
    default_max_clients: number(
      'max_db_client_connections',
      'max_client_conn',
      defaults.maxClients,
    ),
    client_idle_timeout: Math.round(number('', 'client_idle_timeout', 0) * 1000),
    enforce_ssl: /^(require|verify-)/.test(globals.get('client_tls_sslmode') ?? ''),
    ...tlsOf(globals, files, note),
    ...usersOf(given, globals, users, note),
  }
}

function tlsOf(
  globals: Globals,
  files: PgbouncerFiles,
  note: (text: string) => void,
): Partial<TenantFields> {
  const mode = globals.get('server_tls_sslmode') ?? 'prefer'
  if (mode === 'allow' || mode === 'prefer') {
    note(`server_tls_sslmode ${mode}: plain here; set upstream_ssl to use TLS always`)
    return { upstream_ssl: false }
  }
  if (mode === 'disable') return { upstream_ssl: false }
  const verify =
    mode === 'verify-full' ? 'verify-full' : mode === 'verify-ca' ? 'verify-ca' : 'none'
  return {
    upstream_ssl: true,
    upstream_verify: verify,
    ...(files.serverCa !== null && { upstream_tls_ca: files.serverCa }),
  }
}

function usersOf(
  given: ReadonlyMap<string, string>,
  globals: Globals,
  users: readonly UserEntry[],
  note: (text: string) => void,
): Partial<TenantFields> {
  const waitText = globals.get('query_wait_timeout') ?? String(defaults.queryWaitSeconds)
  const waitSeconds = numberOf('query_wait_timeout', waitText)
  const pool_checkout_timeout = waitSeconds > 0 ? waitSeconds * 1000 : 60 * minuteMs
  const secretOf = (name: string): string | undefined =>
    users.find((user) => user.name === name && !isHash(user.secret))?.secret
  const forced = given.get('user')
  if (forced !== undefined) {
    note(`every client was "${forced}" on the server: clients log in as that role here`)
    const db_password = given.get('password') ?? secretOf(forced)
    if (db_password === undefined) note(`no password of "${forced}"; PUT it before anybody logs in`)
    return {
      require_user: true,
      users: [{ db_user: forced, pool_checkout_timeout, ...(db_password && { db_password }) }],
    }
  }
  const manager = given.get('auth_user') ?? globals.get('auth_user')
  if (manager !== undefined) {
    const db_password = secretOf(manager)
    if (db_password === undefined) note(`no password of auth_user "${manager}"; PUT it`)
    const auth_query = given.get('auth_query') ?? globals.get('auth_query')
    return {
      require_user: false,
      ...(auth_query !== undefined && { auth_query }),
      users: [
        {
          db_user: manager,
          is_manager: true,
          pool_checkout_timeout,
          ...(db_password && { db_password }),
        },
      ],
    }
  }
  const usable = users.filter(({ secret }) => secret !== '' && !isHash(secret))
  if (usable.length === 0) note('no role with a usable password; PUT users, or an auth_query')
  return {
    require_user: true,
    users: usable.map(({ name, secret }) => ({
      db_user: name,
      db_password: secret,
      pool_checkout_timeout,
    })),
  }
}

function userLimitsOf(entries: readonly IniEntry[], notes: string[]): UserLimits {
  const limits = new Map<string, ReadonlyMap<string, string>>()
  for (const { key: name, value } of entries) {
    const given = connectStringOf('users', name, value)
    const left = leftoverPairs('user', given)
    if (left.length > 0) notes.push(`[users] ${name}: ${left.join(', ')} is not taken over`)
    limits.set(name, given)
  }
  return limits
}

/** Limits of roles that the project does not name, as where an auth_query finds them, are a note. */
function withLimits(
  fields: TenantFields,
  limits: UserLimits,
  note: (text: string) => void,
): TenantFields {
  const users = (fields.users ?? []).map((user) => {
    const given = limits.get(user.db_user)
    const number = (name: string): number | undefined => {
      const text = given?.get(name)
      return text === undefined ? undefined : numberOf(`[users] ${user.db_user} ${name}`, text)
    }
    const [pool_size, max_clients] = [number('pool_size'), number('max_user_client_connections')]
    return { ...user, ...(pool_size && { pool_size }), ...(max_clients && { max_clients }) }
  })
  const named = new Set(users.map(({ db_user }) => db_user))
  const others = [...limits.keys()].filter((name) => !named.has(name)).map((name) => `"${name}"`)
  if (others.length > 0)
    note(`limits of ${others.join(', ')} in [users]: PUT those roles with them`)
  return { ...fields, users }
}

/** From a hash nobody can log in to a server: PgBouncer can pass it on, a stored password must be plain. */
const isHash = (secret: string): boolean => /^(md5[0-9a-f]{32}$|SCRAM-SHA-256\$)/.test(secret)

function globalNotes(globals: Globals, users: readonly UserEntry[]): string[] {
  const notes: string[] = []
  const type = globals.get('auth_type')
  if (type === 'trust' || type === 'any') {
    notes.push(`auth_type ${type}: everybody needs a password here`)
  }
  if (type === 'hba') notes.push('auth_hba_file: allow_list of each project is what there is here')
  const hashed = users.filter(({ secret }) => isHash(secret)).map(({ name }) => `"${name}"`)
  if (hashed.length > 0) {
    notes.push(`hashes of ${hashed.join(', ')} in auth_file: give passwords, or an auth_query`)
  }
  return notes
}

function numberOf(where: string, text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0) {
    throw new ImportError(`${where}: ${JSON.stringify(text.slice(0, 40))} is no number`)
  }
  return value
}

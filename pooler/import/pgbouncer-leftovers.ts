// What stands in pgbouncer.ini and has no counterpart here: said, so that nobody takes it for taken over.
import type { IniEntry } from './ini-file.ts'

type Sections = ReadonlyMap<string, readonly IniEntry[]>

/** Behind a name in [databases]: what is read for its project. */
const databaseKeys = new Set([
  'host',
  'port',
  'dbname',
  'user',
  'password',
  'auth_user',
  'auth_query',
  'pool_mode',
  'pool_size',
  'min_pool_size',
  'max_db_connections',
  'max_db_client_connections',
])

/** Behind a name in [users]: what is read for its role. */
const userKeys = new Set(['pool_size', 'max_user_client_connections'])

/** In [pgbouncer]: what is read for projects, besides the settings of the process. */
const projectKeys = new Set([
  'auth_type',
  'auth_file',
  'auth_user',
  'auth_query',
  'pool_mode',
  'default_pool_size',
  'min_pool_size',
  'max_db_connections',
  'max_db_client_connections',
  'query_wait_timeout',
  'client_tls_sslmode',
  'server_tls_sslmode',
])

/** What works here without a setting, or is the business of whoever starts the process. */
const needless =
  /^(ignore_startup_parameters|track_extra_parameters|server_(reset_query|reset_query_always|check_query|check_delay|fast_close)|autodb_idle_timeout|suspend_timeout|(unix_socket|tcp|so|sbuf|pkt|log|syslog|dns)(_\w+)?|logfile|pidfile|user|service_name|job_name|conffile|verbose|stats_period|listen_backlog|max_packet_size|resolv_conf|auth_hba_file)$/

/** One note for each section with such names; `corresponding`: those of [pgbouncer] that are settings of our process. */
export function leftovers(sections: Sections, corresponding: ReadonlySet<string>): string[] {
  const notes: string[] = []
  const note = (where: string, keys: readonly string[]): void => {
    if (keys.length > 0) notes.push(`${where}: ${[...new Set(keys)].join(', ')} is not taken over`)
  }
  const isLeft = (key: string): boolean =>
    !corresponding.has(key) && !projectKeys.has(key) && !needless.test(key)
  note('[pgbouncer]', keysOf(sections.get('pgbouncer')).filter(isLeft))
  for (const section of sections.keys())
    if (!['pgbouncer', 'databases', 'users'].includes(section))
      note(`[${section}]`, keysOf(sections.get(section)))
  return notes
}

/** Of the pairs that stand behind a database or a user. */
export function leftoverPairs(
  kind: 'database' | 'user',
  given: ReadonlyMap<string, string>,
): string[] {
  const taken = kind === 'database' ? databaseKeys : userKeys
  return [...given.keys()].filter((key) => !taken.has(key))
}

const keysOf = (entries: readonly IniEntry[] = []): string[] => entries.map(({ key }) => key)

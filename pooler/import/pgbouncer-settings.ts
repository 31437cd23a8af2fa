// PgBouncer's settings of the process, as ours: names in the left column of its manual.
import type { SettingName } from '../config/settings.ts'

interface Counterpart {
  readonly name: SettingName
  /** Seconds there, milliseconds here. */
  readonly isTime?: boolean
}

const counterparts: Readonly<Record<string, Counterpart>> = {
  listen_port: { name: 'PROXY_PORT_TRANSACTION' },
  client_tls_cert_file: { name: 'GLOBAL_DOWNSTREAM_CERT_PATH' },
  client_tls_key_file: { name: 'GLOBAL_DOWNSTREAM_KEY_PATH' },
  server_tls_ca_file: { name: 'GLOBAL_UPSTREAM_CA_PATH' },
  max_client_conn: { name: 'CLIENTS_MAX' },
  server_idle_timeout: { name: 'SERVER_IDLE_TIMEOUT_MS', isTime: true },
  server_lifetime: { name: 'SERVER_LIFETIME_MS', isTime: true },
  server_connect_timeout: { name: 'SERVER_CONNECT_TIMEOUT_MS', isTime: true },
  client_login_timeout: { name: 'CLIENT_LOGIN_TIMEOUT_MS', isTime: true },
  client_idle_timeout: { name: 'CLIENT_IDLE_TIMEOUT_MS', isTime: true },
  query_timeout: { name: 'QUERY_TIMEOUT_MS', isTime: true },
  idle_transaction_timeout: { name: 'CLIENT_IDLE_IN_TRANSACTION_TIMEOUT_MS', isTime: true },
  max_prepared_statements: { name: 'SERVER_PREPARED_STATEMENTS_MAX' },
}

/** `NAME=value` for what was set there and is something here. */
export function processSettings(globals: ReadonlyMap<string, string>): string[] {
  const lines: string[] = []
  const address = globals.get('listen_addr')
  if (address !== undefined) lines.push(`PROXY_HOST=${address === '*' ? '' : address}`)
  for (const [key, { name, isTime = false }] of Object.entries(counterparts)) {
    const value = globals.get(key)
    if (value === undefined || value === '') continue
    if (isTime && !Number.isFinite(Number(value))) continue
    const isOff = key === 'max_prepared_statements' && value === '0'
    if (!isOff) lines.push(`${name}=${isTime ? Math.round(Number(value) * 1000) : value}`)
  }
  return lines
}

// PgBouncer's settings of the process, as ours: names in the left column of its manual. What ours does not
// take, or would take for something else, is a note.
import { type Setting, type SettingName, settings } from '../config/settings.ts'

interface Counterpart {
  readonly name: SettingName
  /** Seconds there, milliseconds here. */
  readonly isTime?: boolean
  /** What 0 means there, where the same 0 means something else here. */
  readonly zero?: string
}

const counterparts: Readonly<Record<string, Counterpart>> = {
  listen_addr: { name: 'PROXY_HOST' },
  listen_port: { name: 'PROXY_PORT_TRANSACTION' },
  client_tls_cert_file: { name: 'GLOBAL_DOWNSTREAM_CERT_PATH' },
  client_tls_key_file: { name: 'GLOBAL_DOWNSTREAM_KEY_PATH' },
  server_tls_ca_file: { name: 'GLOBAL_UPSTREAM_CA_PATH' },
  max_client_conn: { name: 'CLIENTS_MAX' },
  server_idle_timeout: { name: 'SERVER_IDLE_TIMEOUT_MS', isTime: true },
  server_lifetime: {
    name: 'SERVER_LIFETIME_MS',
    isTime: true,
    zero: 'each server was used once, and 0 keeps them for ever here',
  },
  server_connect_timeout: { name: 'SERVER_CONNECT_TIMEOUT_MS', isTime: true },
  client_login_timeout: { name: 'CLIENT_LOGIN_TIMEOUT_MS', isTime: true },
  client_idle_timeout: { name: 'CLIENT_IDLE_TIMEOUT_MS', isTime: true },
  query_timeout: { name: 'QUERY_TIMEOUT_MS', isTime: true },
  idle_transaction_timeout: { name: 'CLIENT_IDLE_IN_TRANSACTION_TIMEOUT_MS', isTime: true },
  max_prepared_statements: { name: 'SERVER_PREPARED_STATEMENTS_MAX' },
}

export const correspondingKeys: ReadonlySet<string> = new Set(Object.keys(counterparts))

export interface ProcessSettings {
  /** `NAME=value` for what was set there and is something here. */
  readonly settings: readonly string[]
  readonly notes: readonly string[]
}

export function processSettings(globals: ReadonlyMap<string, string>): ProcessSettings {
  const lines: string[] = []
  const notes: string[] = []
  for (const [key, { name, isTime = false, zero }] of Object.entries(counterparts)) {
    const value = globals.get(key)
    if (value === undefined || value === '') continue
    // Switching prepared statements off is not needed here.
    if (key === 'max_prepared_statements' && Number(value) === 0) continue
    if (key === 'listen_addr' && value === '*') {
      lines.push(`${name}=`)
      continue
    }
    const { kind, defaultText }: Setting<unknown> = settings[name]
    const text = isTime ? millisecondsOf(value) : value
    const parsed = kind.parse(text)
    const isOther = zero !== undefined && Number(value) === 0
    if (!isOther && 'value' in parsed) {
      lines.push(`${name}=${text}`)
      continue
    }
    const why = isOther ? zero : `${name} takes ${kind.allowed}`
    const given = JSON.stringify(value.slice(0, 40))
    notes.push(`${key} ${given}: ${why}; it stays ${defaultText ?? 'unset'} unless you set it`)
  }
  return { settings: lines, notes: [...notes, ...portNotes(globals.get('listen_port'))] }
}

/** What is no number stays what it is, for the setting to refuse. */
function millisecondsOf(seconds: string): string {
  const value = Number(seconds)
  if (!Number.isFinite(value)) return seconds
  const ms = Math.round(value * 1000)
  // Shorter than we count is not off.
  return String(value > 0 ? Math.max(1, ms) : ms)
}

function portNotes(port: string | undefined): string[] {
  const others = ['PORT', 'PROXY_PORT_SESSION'] as const
  return others
    .filter((name) => settings[name].defaultText === port)
    .map((name) => `listen_port ${port}: ${name} is that unless you set it; give it another port`)
}

// What a StartupMessage asks for: who, which database, which settings. Which project that is, is
// identify-tenant.ts; what the port's mode forbids, is checkMode here, once the mode is known.
import { isUtf8 } from 'node:buffer'
import { PoolerError } from '../../shared/errors.ts'
import { cleanAscii } from '../../shared/protocol/application-name.ts'
import { nameBytesMax, startupSettingsMax } from '../config/limits.ts'
import { quoteForText } from './quote-for-text.ts'
import { noOptions, type ParsedOptions, parseOptions, settingKey } from './startup-options.ts'
import type { StartupPacket, StartupParameter } from './startup-packet.ts'

export type Replication = 'off' | 'physical' | 'logical'
export type ConnectionMode = 'transaction' | 'session' | 'direct'

/** Frozen: the identity of a connection is what its first packet said. */
export interface StartupRequest {
  /** Whole, as sent: `role`, or `role.ref`. Not empty. */
  readonly user: string
  /** null: the project's own, because none was named or the driver repeated the user. */
  readonly database: string | null
  readonly options: ParsedOptions
  /**
   * Session settings by lower-case name, from `options` and from the packet; the packet's win, as
   * in Postgres. Without the `jit` of `options`, see `settingsWithJit`.
   */
  readonly settings: ReadonlyMap<string, string>
  readonly replication: Replication
  readonly minor: number
}

/**
 * Postgres contexts `backend` and `superuser-backend` of all versions, and the two lists of
 * libraries, which may be SET later but are only looked at when a connection starts.
 */
const startOnlySettings: ReadonlySet<string> = new Set([
  'ignore_system_indexes',
  'jit_debugging_support',
  'jit_profiling_support',
  'local_preload_libraries',
  'log_connections',
  'log_disconnections',
  'post_auth_delay',
  'session_preload_libraries',
])

/** Throws ESTARTUPMESSAGE, EOPTIONS or EINVALIDUSERINFO. */
export function readStartupRequest(packet: StartupPacket): StartupRequest {
  const users = valuesOf(packet, 'user')
  const databases = valuesOf(packet, 'database')
  if (users.length > 1 || databases.length > 1) {
    throw badStartup('user and database may each be given once')
  }
  const user = readName('user', users[0] ?? Buffer.alloc(0))
  if (user === '') throw unusable('user', 'the startup packet has none')
  const rawOptions = valuesOf(packet, 'options').at(-1)
  const options = rawOptions === undefined ? noOptions : parseOptions(rawOptions)
  return Object.freeze({
    user,
    database: readDatabase(databases[0], user),
    options,
    settings: readSettings(packet, options),
    replication: readReplication(valuesOf(packet, 'replication').at(-1)),
    minor: packet.minor,
  })
}

/** The settings where `jit` is Postgres' own: all of the client's, as Postgres would take them. */
export function settingsWithJit(request: StartupRequest): ReadonlyMap<string, string> {
  const { jit } = request.options
  // A `jit` of the packet itself stands after that of `options`.
  if (jit === null || request.settings.has('jit')) return request.settings
  return new Map(request.settings).set('jit', jit)
}

/** Throws what the mode does not allow: EUNSUPPORTEDPROTOCOL, ESTARTUPSETTING. */
export function checkMode(request: StartupRequest, mode: ConnectionMode): void {
  if (mode === 'direct') return
  if (mode === 'transaction' && request.replication !== 'off') {
    throw new PoolerError('EUNSUPPORTEDPROTOCOL', {
      values: { what: 'replication in transaction mode' },
    })
  }
  for (const name of request.settings.keys()) {
    if (startOnlySettings.has(name)) throw new PoolerError('ESTARTUPSETTING', { values: { name } })
  }
}

/** Role and database names are 1 to 63 bytes. Throws EINVALIDUSERINFO. */
export function checkNameLength(what: 'role' | 'database', name: string): void {
  const bytes = Buffer.byteLength(name)
  if (bytes === 0) throw unusable(what, 'it is empty')
  if (bytes > nameBytesMax) throw unusable(what, `it has ${bytes} bytes`)
}

function valuesOf(packet: StartupPacket, name: string): Buffer[] {
  const values: Buffer[] = []
  for (const parameter of packet.parameters) {
    if (parameter.name === name) values.push(parameter.value)
  }
  return values
}

function readName(what: string, raw: Buffer): string {
  if (!isUtf8(raw)) throw unusable(what, 'it is not valid UTF-8')
  return raw.toString('utf8')
}

function readDatabase(raw: Buffer | undefined, user: string): string | null {
  const name = raw === undefined ? '' : readName('database', raw)
  // libpq and most drivers fill in the user name, project ref included.
  if (name === '' || name === user) return null
  checkNameLength('database', name)
  return name
}

const notSettings: ReadonlySet<string> = new Set(['user', 'database', 'options', 'replication'])

function readSettings(packet: StartupPacket, options: ParsedOptions): Map<string, string> {
  const settings = new Map(options.settings)
  for (const parameter of packet.parameters) {
    if (!notSettings.has(parameter.name)) {
      settings.set(settingKey(parameter.name), readValue(parameter))
    }
  }
  for (const name of settings.keys()) refuseNoSetting(name)
  if (settings.size > startupSettingsMax) {
    throw badStartup(`${settings.size} settings, the limit is ${startupSettingsMax}`)
  }
  return settings
}

/**
 * Names that mean something of their own in a startup packet, smuggled in as settings: by `options`
 * or in another case. A server of a direct client would be opened with them.
 */
function refuseNoSetting(name: string): void {
  if (notSettings.has(name) || name.startsWith('_pq_.')) {
    throw badStartup(`${quoteForText(name)} is no setting`)
  }
}

function readValue({ name, value }: StartupParameter): string {
  if (isUtf8(value)) return value.toString('utf8')
  if (settingKey(name) === 'application_name') return cleanAscii(value)
  throw badStartup(`the value of ${quoteForText(name)} is not valid UTF-8`)
}

/** Postgres' walsender switch: `database`, else a boolean by its parse_bool, which takes prefixes. */
function readReplication(raw: Buffer | undefined): Replication {
  if (raw === undefined) return 'off'
  const value = raw.toString('latin1')
  if (value === 'database') return 'logical'
  if (/^(1|on|t(r(ue?)?)?|y(es?)?)$/i.test(value)) return 'physical'
  if (/^(0|off?|f(a(l(se?)?)?)?|no?)$/i.test(value)) return 'off'
  throw badStartup(`replication ${quoteForText(value)} is neither a boolean nor "database"`)
}

function badStartup(reason: string): PoolerError {
  return new PoolerError('ESTARTUPMESSAGE', { values: { reason } })
}

function unusable(what: string, reason: string): PoolerError {
  return new PoolerError('EINVALIDUSERINFO', { values: { what, reason } })
}

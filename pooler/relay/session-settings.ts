// Settings that follow a client from server to server. A profile is what one client wants; equal
// profiles are one object, so that the hot path compares two references and nothing else.
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { extendedQuery, portalQuery, sync } from '../../shared/protocol/frontend-messages.ts'
import { usualSettings } from './setting-names.ts'
import { plainEnvironment, type TextSettings } from './text-environment.ts'

/** Reported by servers, yet not ours to set: a difference is told to the client instead. */
const readOnlyNames: ReadonlySet<string> = new Set([
  'server_version',
  'server_encoding',
  'in_hot_standby',
  'is_superuser',
  'integer_datetimes',
])

/** client_encoding goes first, because it says how the rest is read; whom one acts as goes last. */
export const settingOrder = (name: string): number =>
  name === 'client_encoding' ? 0 : name === 'session_authorization' ? 2 : name === 'role' ? 3 : 1

const authorization = 'session_authorization'
const identity: readonly string[] = [authorization, 'role']
const isIdentity = (name: string): boolean => identity.includes(name)

const textSettings = [
  'client_encoding',
  'standard_conforming_strings',
  'search_path',
  'role',
  'session_authorization',
]

export const isReadOnlySetting = (name: string): boolean => readOnlyNames.has(name)

/** Names of settings match in any case; a few are reported in mixed case. */
export const settingKey = (name: string): string => name.toLowerCase()

export interface SettingsProfile extends TextSettings {
  /**
   * settingKey to value in the server's spelling, one character for each byte in the database's encoding.
   * Read-only reports are in it as last told.
   */
  readonly wanted: ReadonlyMap<string, string>
}

/** Distinct profiles remembered; beyond it equal ones are compared value by value. */
export const profilesMax = 10_000
/** A usual profile has 600; clients may set, and upstreams report, values of any length. */
export const profileCharactersMax = 8 * 1024
const profiles = new LRUCache<string, SettingsProfile>({
  max: profilesMax,
  maxSize: 8 * 1024 * 1024,
  maxEntrySize: profileCharactersMax,
  sizeCalculation: (_profile, key) => key.length,
})

/** The one profile with these settings, but for a few that are too large to be remembered. */
export function profileOf(wanted: ReadonlyMap<string, string>): SettingsProfile {
  const entries = [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))
  const content = JSON.stringify(entries)
  const known = profiles.get(content)
  if (known !== undefined) return known
  const kept = new Map(entries)
  const key = textSettings.map((name) => kept.get(name) ?? '').join('\0')
  const environment = plainEnvironment(digestOf(key))
  const hasBackslashes = kept.get('standard_conforming_strings') === 'off'
  const profile: SettingsProfile = { wanted: kept, environment, hasBackslashes }
  profiles.set(content, profile)
  return profile
}

/** It stands in the key of each prepared statement: a search_path may have 32 KB. */
const digestOf = (text: string): string =>
  text.length <= sha256Characters ? text : createHash('sha256').update(text).digest('hex')
const sha256Characters = 64

/** This profile with one value changed. */
export function withSetting(
  profile: SettingsProfile,
  name: string,
  value: string,
): SettingsProfile {
  const key = settingKey(name)
  if (profile.wanted.get(key) === value) return profile
  return profileOf(new Map(profile.wanted).set(key, value))
}

export interface ServerSettings {
  /** settingKey to value as last reported by ParameterStatus. */
  readonly reported: ReadonlyMap<string, string>
  /** settingKey to value of settings that are not reported and that we set on this server. */
  readonly applied: ReadonlyMap<string, string>
  /** What was reported at its login. */
  readonly baseline: ReadonlyMap<string, string>
}

export interface SettingsDifference {
  /** Settings to be given these values. */
  readonly set: readonly (readonly [name: string, value: string])[]
  /** Settings that go back to the server's default. */
  readonly reset: readonly string[]
  /** Read-only reports that this client has not been told. */
  readonly tell: readonly (readonly [name: string, value: string])[]
}

/** Settings of `anyway` are to be set even where the server has their value. */
export function differenceOf(
  profile: SettingsProfile,
  server: ServerSettings,
  anyway: readonly string[] = [],
): SettingsDifference {
  const { wanted } = profile
  let set: (readonly [string, string])[] = []
  let tell: (readonly [string, string])[] = []
  for (const [name, value] of wanted) {
    const current = server.reported.get(name) ?? server.applied.get(name)
    if (current === value && !anyway.includes(name)) continue
    if (!readOnlyNames.has(name)) set.push([name, value])
    else if (current !== undefined) tell.push([name, current])
  }
  let reset = [...server.applied.keys()].filter((name) => !wanted.has(name))
  const given = set.length + reset.length === 0 ? [] : givenUp(server)
  if (given.length > 0) {
    reset = [...given, ...reset.filter((name) => !isIdentity(name))]
    set = set.filter(([name]) => !isIdentity(name))
    for (const name of identity) {
      const value = wanted.get(name)
      if (value !== undefined && value !== server.baseline.get(name)) set.push([name, value])
    }
  }
  set.sort(([a], [b]) => settingOrder(a) - settingOrder(b))
  const isOther = reset.some(isIdentity) || set.some(([name]) => isIdentity(name))
  if (isOther) tell = tell.filter(([name]) => name !== 'is_superuser')
  return { set, reset, tell }
}

/**
 * As whom statements run on the server is not who logged in: to be reset in this order in front of all
 * else, which that one may not be allowed to change. Each change of the first takes the role away.
 */
function givenUp({ reported, applied, baseline }: ServerSettings): readonly string[] {
  const current = reported.get(authorization) ?? applied.get(authorization)
  if (current !== baseline.get(authorization)) return identity
  return (applied.get('role') ?? 'none') === 'none' ? [] : ['role']
}

/** Statements that `restoreMessages` makes of a difference, each one Parse, Bind and Execute. */
export const restoreCount = (difference: SettingsDifference): number =>
  difference.set.length + difference.reset.length

/** What may be refused must be known to have worked before the client's message runs. */
export const mustBeAwaited = ({ set, reset }: SettingsDifference): boolean =>
  reset.some(mayBeRefused) || set.some(([name]) => mayBeRefused(name))

/** Not an application's own settings either, which are waited for by nobody. */
const mayBeRefused = (name: string): boolean => !usualSettings.has(name) && !name.includes('.')

/** Not the same in every encoding that a client may have: it goes as bytes of the database's. */
const beyondAscii = /\P{ASCII}/u
export const isBeyondAscii = (value: string): boolean => beyondAscii.test(value)
const hexOf = (value: string): string => Buffer.from(value, 'latin1').toString('hex')
export const valueSql =
  "pg_catalog.convert_from(pg_catalog.decode($2, 'hex'), pg_catalog.getdatabaseencoding())"
const bytesSql = `SELECT pg_catalog.set_config($1, ${valueSql}, false)`

/** One batch that ends in a Sync. Values are bound, never spelled into SQL text. */
export function restoreMessages(difference: SettingsDifference): Buffer {
  const messages: Buffer[] = []
  for (const name of difference.reset) messages.push(resetMessages(name))
  for (const [name, value] of difference.set) {
    messages.push(
      beyondAscii.test(value)
        ? extendedQuery(bytesSql, [name, hexOf(value)])
        : extendedQuery('SELECT pg_catalog.set_config($1, $2, false)', [name, value]),
    )
  }
  messages.push(sync())
  return Buffer.concat(messages)
}

/** Where the session has not set it itself; an application's own setting is not listed. */
const reapplySql = `
SELECT pg_catalog.set_config($1, ${valueSql}, false)
WHERE COALESCE(
  (SELECT source OPERATOR(pg_catalog.<>) 'session' FROM pg_catalog.pg_settings
   WHERE pg_catalog.lower(name) OPERATOR(pg_catalog.=) $1),
  COALESCE(pg_catalog.current_setting($1, true), '') OPERATOR(pg_catalog.=) ANY ('{"",none}')
)`

/** As restoreMessages, of settings that the client may have set since. */
export function reapplyMessages(settings: SettingsDifference['set']): Buffer {
  const each = settings.map(([name, value]) => portalQuery(reapplySql, [name, hexOf(value)]))
  return Buffer.concat([...each, sync()])
}

const resetMessages = (name: string): Buffer => extendedQuery(`RESET ${quoteName(name)}`, [])

/** A setting's name as identifier; a class prefix (`app.user`) is quoted part by part. */
function quoteName(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')
}

/** Their values, in characters: what a search_path of full length needs, and as much again. */
const carriedCharactersMax = 32 * 1024

/** Schemas that all may be made in, or nobody may: what stands behind them is not where a CREATE goes. */
const madeInstead = /^\s*"?(?:public|pg_catalog)"?\s*$/i
const temporarySchema = /^\s*"?pg_temp/i

/** What is made without a schema may be made in the temporary one, which is its server's own. */
export function mayMakeTemporary({ wanted }: SettingsProfile): boolean {
  const path = wanted.get('search_path')
  if (path === undefined || !path.includes('pg_temp')) return false
  const schemas = path.split(',')
  const last = schemas.findIndex((one) => madeInstead.test(one))
  return schemas
    .slice(0, last === -1 ? schemas.length : last)
    .some((one) => temporarySchema.test(one))
}

/** More than is carried from server to server. */
export function isTooLarge({ wanted }: SettingsProfile, settingsMax: number): boolean {
  if (wanted.size > settingsMax) return true
  let characters = 0
  for (const value of wanted.values()) characters += value.length
  return characters > carriedCharactersMax
}

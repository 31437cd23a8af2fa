// By which settings Postgres reads a statement's text. It does so once, at Parse: what strings, letters
// and literals stand for is settled then (Postgres manual, "Lexical Structure" and "Client Connection
// Defaults"). A server that learns the text later has to read it by the same ones.

export type ReadSetting = readonly [name: string, value: string]

export interface TextEnvironment {
  /** Under another one the same text is another statement. */
  readonly key: string
  /** Of the settings that such a text is read by, what was in force; '' for the server's default. */
  readonly read: readonly ReadSetting[]
}

/** How a client's texts are understood; a SettingsProfile is. */
export interface TextSettings {
  readonly wanted: ReadonlyMap<string, string>
  /** Of a text that is read alike by all. */
  readonly environment: TextEnvironment
  /** standard_conforming_strings is off: a backslash escapes in every string. */
  readonly hasBackslashes: boolean
}

/** The settings of one client at present. */
export interface SettingsInForce {
  readonly settings: TextSettings
  /** What has been sent since they were known may have changed how texts are read. */
  readonly mayBeOthers: boolean
  /** Names in texts may stand for temporary objects, which others do not have. */
  readonly hasTemporary: boolean
}

type Reader = readonly [pattern: RegExp, names: readonly string[]]

/** Texts whose letters are read by settings, and these settings; a guess may take too many texts. */
const letterReaders: readonly Reader[] = [
  [/\\|u&'/i, ['standard_conforming_strings', 'backslash_quote']],
  [/[\x80-\xff]/, ['client_encoding']],
]
/** These, and texts in which what the letters mean is. */
const readers: readonly Reader[] = [
  ...letterReaders,
  [
    /'[^']*[\d{<]|\$[a-z_]*\$/i,
    [
      'datestyle',
      'intervalstyle',
      'timezone',
      'timezone_abbreviations',
      'lc_monetary',
      'array_nulls',
      'xmloption',
    ],
  ],
  [/=\s*null|\bnull\s*=/i, ['transform_null_equals']],
]
/**
 * Of these Postgres takes only the letters at Parse, and what they mean when they are run. Nothing is lent
 * for that: behind an Execute of ours in their batch they count as one of several, which VACUUM refuses,
 * and SET LOCAL no longer warns of.
 */
const meantWhenRun =
  /^\s*(?:set|reset|lock|vacuum|analy[sz]e|reindex|cluster|alter|drop|create\s+(?:database|tablespace|subscription|(?:unique\s+)?index))\b/i

/** Without any of this, none of them matches. */
const mayMatter = /[\\'\x80-\xff]|\$[a-z_]*\$|null/i

const readingNames: ReadonlySet<string> = new Set(readers.flatMap(([, names]) => names))
export const isReadBy = (name: string): boolean => readingNames.has(name)

const nothing: readonly ReadSetting[] = []
export const plainEnvironment = (key: string): TextEnvironment => ({ key, read: nothing })

/** `text` has one character for each byte. */
export function environmentOf(text: string, settings: TextSettings): TextEnvironment {
  if (!mayMatter.test(text)) return settings.environment
  const read: ReadSetting[] = []
  const asked = meantWhenRun.test(text) ? letterReaders : readers
  for (const [pattern, names] of asked) {
    if (!pattern.test(text)) continue
    for (const name of names) read.push([name, settings.wanted.get(name) ?? ''])
  }
  if (read.length === 0) return settings.environment
  const values = read.map(([, value]) => value).join('\0')
  return { key: `${settings.environment.key}\0${values}`, read }
}

let unsharedCount = 0

/** As no other text has it: what it would share is not known well enough. */
export const unshared = ({ key, read }: TextEnvironment): TextEnvironment => ({
  key: `${key}\0${++unsharedCount}`,
  read,
})

/** The settings by which the text was read, where others may be in force; null: it is read alike. */
export function foreignSettings(
  { read }: TextEnvironment,
  { settings, mayBeOthers }: SettingsInForce,
): readonly ReadSetting[] | null {
  if (read.length === 0) return null
  if (mayBeOthers) return read
  return read.every(([name, value]) => (settings.wanted.get(name) ?? '') === value) ? null : read
}

// The `options` startup parameter: Postgres' own grammar (pg_split_opts and getopt over -c and --),
// or a URL query for drivers that cannot send spaces. Pulls out the keys that are ours; whether a
// setting exists and takes the value is for the server to say.
import { isUtf8 } from 'node:buffer'
import { PoolerError } from '../../shared/errors.ts'
import { quoteForText } from './quote-for-text.ts'

export interface ParsedOptions {
  /** The project ref; '' where it was given and is empty. */
  readonly reference: string | null
  /** As written. Ours only where the project has temporary access; see `jitRequest`. */
  readonly jit: string | null
  /** All other settings by lower-case name; of duplicates the last. */
  readonly settings: ReadonlyMap<string, string>
}

/** Nothing was asked for. */
export const noOptions: ParsedOptions = { reference: null, jit: null, settings: new Map() }

/** Throws EOPTIONS. */
export function parseOptions(raw: Buffer): ParsedOptions {
  if (!isUtf8(raw)) throw badOptions('they are not valid UTF-8')
  const text = raw.toString('utf8').replace(/^[ \t\n\v\f\r]+/, '')
  const settings = text.startsWith('-') ? readSwitches(splitWords(text)) : readQuery(text)
  const reference = settings.get('reference') ?? null
  const jit = settings.get('jit') ?? null
  settings.delete('reference')
  settings.delete('jit')
  return { reference, jit, settings }
}

/** What `jit=value` asks for where the project has temporary access: `on`, that the password is a token. */
export function jitRequest(value: string): 'on' | 'off' | 'invalid' {
  const folded = value.toLowerCase()
  if (['on', 'true', 'yes', '1'].includes(folded)) return 'on'
  if (['off', 'false', 'no', '0'].includes(folded)) return 'off'
  return 'invalid'
}

/** Postgres compares names of settings without regard to the case of A to Z, and of no other letter. */
export function settingKey(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** C's isspace separates; a backslash takes the next character as it is, and alone at the end is nothing. */
function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | null = null
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    if (' \t\n\v\f\r'.includes(character)) {
      if (word !== null) words.push(word)
      word = null
    } else if (character === '\\') {
      at++
      word = (word ?? '') + text.charAt(at)
    } else {
      word = (word ?? '') + character
    }
  }
  if (word !== null) words.push(word)
  return words
}

function readSwitches(words: readonly string[]): Map<string, string> {
  const settings = new Map<string, string>()
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    // As in getopt, a lone `--` ends the switches, and Postgres takes nothing else behind it.
    if (word === '--' && at === words.length - 1) break
    if (word.startsWith('--') && word !== '--') {
      addSetting(settings, word.slice(2), '--')
    } else if (word.startsWith('-c')) {
      // `-c name=value` takes the next word whole, whatever it begins with.
      const argument = word === '-c' ? words[++at] : word.slice(2)
      if (argument === undefined) throw badOptions('-c stands at the end without a setting')
      addSetting(settings, argument, '-c ')
    } else {
      throw badOptions(`${quoteForText(word)} is no option that is known here`)
    }
  }
  return settings
}

/** `name=value&name=value`, with percent escapes and `+` for a space. */
function readQuery(text: string): Map<string, string> {
  const settings = new Map<string, string>()
  for (const pair of text.split('&')) {
    if (pair !== '') addSetting(settings, decodeEscapes(pair), '')
  }
  return settings
}

/** An escaped `=` or `&` reads as itself, as libpq users write `reference%3dref`. */
function decodeEscapes(pair: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(pair.replaceAll('+', ' '))
  } catch {
    throw badOptions(`${quoteForText(pair)} has a bad percent escape`)
  }
  if (decoded.includes('\0')) throw badOptions(`${quoteForText(pair)} has a NUL in it`)
  return decoded
}

function addSetting(settings: Map<string, string>, argument: string, flag: string): void {
  const equalsAt = argument.indexOf('=')
  if (equalsAt === -1) throw badOptions(`${flag}${quoteForText(argument)} has no value`)
  if (equalsAt === 0) throw badOptions(`${flag}${quoteForText(argument)} has no name`)
  const name = argument.slice(0, equalsAt).replaceAll('-', '_')
  settings.set(settingKey(name), argument.slice(equalsAt + 1))
}

function badOptions(reason: string): PoolerError {
  return new PoolerError('EOPTIONS', { values: { reason } })
}

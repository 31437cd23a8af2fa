// How the text of one environment variable becomes a value. What several settings must agree on is
// load-config.ts.
import { isIP } from 'node:net'
import { guardedUrlFault } from '../../shared/guarded-url.ts'
import { Secret } from '../../shared/secret.ts'
import { publishedExamples } from './published-examples.ts'

export type Parsed<Value> = { readonly value: Value } | { readonly fault: string }

export interface Kind<Value> {
  /** The allowed range in words, for the fault and for the README. */
  readonly allowed: string
  /** The given text is never shown. */
  readonly isSecret: boolean
  parse(text: string): Parsed<Value>
}

const fault = (text: string) => ({ fault: text })
const notThat = fault('not in the allowed range')

const open = <Value>(allowed: string, parse: (text: string) => Parsed<Value>): Kind<Value> => ({
  allowed,
  isSecret: false,
  parse,
})

export interface Range {
  readonly min: number
  readonly max: number
  /** 0 is allowed as well and turns the limit off. */
  readonly isZeroOff?: boolean
}

export const wholeNumber = ({ min, max, isZeroOff = false }: Range): Kind<number> =>
  open(`${isZeroOff ? '0 (off), ' : ''}${min} to ${max}`, (text) => {
    if (!/^-?\d+$/.test(text)) return fault('not a whole number')
    const value = Number(text)
    if (value === 0 && isZeroOff) return { value }
    return value >= min && value <= max ? { value } : notThat
  })

export const port: Kind<number> = {
  ...wholeNumber({ min: 0, max: 65_535 }),
  allowed: '1 to 65535, 0 (any free port)',
}

/** 2^31-1 ms is the longest wait that a Node timer keeps; a day is more than any of ours needs. */
const dayMs = 86_400_000

export const duration = (minMs: number, isZeroOff = false): Kind<number> =>
  wholeNumber({ min: minMs, max: dayMs, isZeroOff })

export const share: Kind<number> = open('0 to 1', (text) => {
  if (!/^\d+(\.\d+)?$/.test(text)) return fault('not a decimal number')
  const value = Number(text)
  return value <= 1 ? { value } : notThat
})

const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3,
}

/** Units as in postgresql.conf: powers of 1024, written kB, MB, GB. */
export const byteSize: Kind<number> = open('0 (off), 64MB to 1024GB', (text) => {
  const [, digits, unit] = /^(\d{1,15}) ?(kB|MB|GB|)$/i.exec(text) ?? []
  if (digits === undefined || unit === undefined) return fault('not a size')
  const value = Number(digits) * (unitBytes[unit.toLowerCase()] ?? 1)
  const isAllowed = value === 0 || (value >= 64 * 1024 ** 2 && value <= 1024 ** 4)
  return isAllowed ? { value } : notThat
})

export const flag: Kind<boolean> = open('true, false', (text) => {
  if (/^(true|on|yes|1)$/i.test(text)) return { value: true }
  if (/^(false|off|no|0)$/i.test(text)) return { value: false }
  return fault('neither true nor false')
})

export const oneOf = <const Name extends string>(...names: readonly Name[]): Kind<Name> =>
  open(names.join(', '), (text) => {
    const value = names.find((name) => name === text.toLowerCase())
    return value === undefined ? fault('not one of them') : { value }
  })

const hostNamePattern =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i

export const listenAddress: Kind<string> = open('an IP address or host name', (text) =>
  isIP(text) > 0 || hostNamePattern.test(text) ? { value: text } : fault('not an address'),
)

export const domain: Kind<string> = open('a DNS name, without a dot in front', (text) =>
  isIP(text) === 0 && hostNamePattern.test(text)
    ? { value: text.toLowerCase() }
    : fault('not a DNS name'),
)

/** What an empty text gives is an empty list. */
export const networks: Kind<readonly string[]> = open(
  'IP addresses and CIDRs, separated by commas',
  (text) => {
    const parts = text.split(',').flatMap((part) => part.trim() || [])
    const wrong = parts.find((part) => !isNetwork(part))
    return wrong === undefined
      ? { value: Object.freeze(parts) }
      : fault(`not a network: ${wrong.slice(0, 60)}`)
  },
)

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || more.length > 0) return false
  const bits = family === 4 ? 32 : 128
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
}

/** Whose words are trusted: read over TLS, or from this machine. */
export const guardedUrl: Kind<string> = open('an https URL, or http on loopback', (text) => {
  const found = guardedUrlFault(text)
  return found === null ? { value: text } : fault(found)
})

/** What a JWT has to say, letter by letter. */
export const claim: Kind<string> = open('1 to 1000 characters', (text) =>
  text.length <= 1000 ? { value: text } : fault('too long'),
)

export const path: Kind<string> = open('a path', (text) =>
  text.includes('\0') ? fault('holds a NUL') : { value: text },
)

/**
 * What goes there is secret: over TLS, or not off this machine. Many services have a secret in the path
 * as well: it is shown to nobody.
 */
export const webhookUrl: Kind<string> = {
  ...open('https://…, or http:// on loopback', (text) => {
    const url = URL.parse(text)
    if (url === null) return fault('not a URL')
    if (url.username !== '' || url.password !== '') return fault('with credentials in it')
    const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
    const isPrivate = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)
    return isPrivate ? { value: url.href } : fault('not https')
  }),
  isSecret: true,
}

/** Without a slash at the end, so that paths can be put behind it. */
export const baseUrl: Kind<string> = open('https://host or http://host', (text) => {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return fault('not a web address')
  if (url.search !== '' || url.hash !== '') return fault('with something behind the path')
  return { value: url.href.replace(/\/+$/, '') }
})

const secret = (
  allowed: string,
  faultOf: (text: string) => string | null,
): Kind<Secret<string>> => ({
  allowed,
  isSecret: true,
  parse(text) {
    const found = text.trim() === text ? faultOf(text) : 'white space around it'
    return found === null ? { value: new Secret(text) } : fault(found)
  },
})

export const databaseUrl = secret('postgres://user:password@host:port/database', (text) => {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null) return 'not a URL'
  const isPostgres = url.protocol === 'postgres:' || url.protocol === 'postgresql:'
  return isPostgres ? null : `scheme ${url.protocol.slice(0, 20)}`
})

/** Any length that is no accident; libpq's limit is above it. */
export const password = secret('8 to 200 characters, no published example', (text) => {
  if (text.length < 8 || text.length > 200) return 'of another length'
  if (publishedExamples.has(text)) return 'a published example'
  return /^\P{Cc}+$/u.test(text) ? null : 'with control characters'
})

/** The provider made it; which length is no accident is its business. */
export const clientSecret = secret('1 to 1000 characters of ASCII', (text) =>
  /^[\x20-\x7e]{1,1000}$/.test(text) ? null : 'of another length or alphabet',
)

export const roleName: Kind<string> = open('a name of up to 63 characters without a dot', (text) =>
  /^[^\s.\0]{1,63}$/.test(text) ? { value: text } : fault('not such a name'),
)

/** RFC 7518 section 3.2: a key for HS256 is no shorter than its hash. */
export const jwtSecret = secret('at least 32 bytes, no published example', (text) => {
  if (Buffer.byteLength(text) < 32) return 'too short'
  return weaknessOf(text)
})

export const encryptionKey = secret(
  '32 characters of ASCII, or 64 hex digits; no published example',
  (text) => {
    const isKey = /^[\x21-\x7e]{32}$/.test(text) || /^[0-9a-f]{64}$/i.test(text)
    return isKey ? weaknessOf(text) : 'of another length or alphabet'
  },
)

/** Fewer different characters than this do not come from a random source. */
const differentCharactersMin = 8

function weaknessOf(text: string): string | null {
  if (publishedExamples.has(text) || /^(your|some|change|example|replace)[-_ ]?/i.test(text)) {
    return 'a published example'
  }
  return new Set(text).size < differentCharactersMin
    ? 'the same few characters over and over'
    : null
}

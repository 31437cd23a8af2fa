// SQL without the values that are written in it, so that a text is known again with others: numbers are 0, strings
// empty, comments blanks, and of a list of values one is left. Whatever text-verdict.ts looks for is found in
// it as in the text itself: a string that has one of its words stays as it is.
//
//   update t set a = 17 where b in (1, 2, 3) and c = 'x'  →  update t set a = 0 where b in (0) and c = ''
import { Buffer } from 'node:buffer'
import { beginning, beginningsOf } from './telling-words.ts'

/** Longer ones are not remembered. */
const normalizedBytesMax = 2048

/** What is looked for in strings and comments as well. */
const words = beginningsOf(
  `set reset temp temporary pg_temp hold listen prepare execute deallocate discard default time lastval
  currval nextval insert`.split(/\s+/),
)

const other = 0
const letter = 1
const digit = 2
const quote = 3
const doubleQuote = 4
const dollar = 5
const slash = 6
const dash = 7
/** What comes behind it, or where it ends, depends on settings. */
const doubtful = 8

const kinds = new Uint8Array(256).fill(doubtful, 128)
for (let byte = 1; byte < 128; byte++) {
  const sign = String.fromCharCode(byte)
  if (/\d/.test(sign)) kinds[byte] = digit
  else if (/\w/.test(sign)) kinds[byte] = letter
}
kinds[0] = doubtful
kinds[0x5c] = doubtful
kinds[0x27] = quote
kinds[0x22] = doubleQuote
kinds[0x24] = dollar
kinds[0x2f] = slash
kinds[0x2d] = dash

const zero = 0x30
const space = 0x20
const comma = 0x2c
const open = 0x28
const semicolon = 0x3b
const star = 0x2a
const setWord = beginning(0x73, 0x65, 0x74)

/** With room for what is appended between two looks at the bound. */
const made = Buffer.alloc(normalizedBytesMax + 16)

/** Of the text in `bytes`, one character for each byte; null: it has to be taken as it is. */
export function normalizedText(bytes: Buffer, from: number, end: number): string | null {
  let length = 0
  let isInName = false
  /** Where the last value ends in what was made, and what it was. */
  let valueEnd = -1
  let value = other
  /** Of set_config the name is looked at, and where each argument stands. */
  let setsConfig = false
  for (let at = from; at < end; ) {
    if (length > normalizedBytesMax) return null
    const byte = bytes[at] as number
    const kind = kinds[byte] as number
    if (kind === letter || (kind === digit && isInName)) {
      if (!isInName && isSetConfig(bytes, at)) setsConfig = true
      const past = wordEnd(bytes, at, end)
      if (length + past - at > normalizedBytesMax) return null
      if (!isInName && past === at + 2 && isDo(bytes, at) && begins(length)) return null
      while (at < past) made[length++] = bytes[at++] as number
      isInName = true
    } else if (kind === other) {
      made[length++] = byte
      isInName = false
      at++
    } else if (kind === digit || kind === quote) {
      const past = kind === digit ? wordEnd(bytes, at, end) : stringEnd(bytes, at, end)
      if (past === null) return null
      const isName = setsConfig && isNamePlace(lastSign(length))
      if (kind === quote && (isName || tells(bytes, at + 1, past - 1))) {
        if (length + past - at > normalizedBytesMax) return null
        length += bytes.copy(made, length, at, past)
      } else {
        const before = setsConfig || value !== kind ? length : listStart(length, valueEnd)
        if (before < length) length = before
        else if (kind === digit) made[length++] = zero
        else {
          made[length++] = byte
          made[length++] = byte
        }
        valueEnd = length
        value = kind
      }
      isInName = kind === digit
      at = past
    } else if (kind === doubleQuote) {
      if (isSetConfig(bytes, at + 1)) return null
      const past = nameEnd(bytes, at, end)
      if (past === null || length + past - at > normalizedBytesMax) return null
      while (at < past) made[length++] = bytes[at++] as number
      isInName = false
    } else if (kind === dollar) {
      // A parameter; else it may begin a string.
      if (kinds[bytes[at + 1] as number] !== digit) return null
      made[length++] = byte
      isInName = true
      at++
    } else if (kind === slash && bytes[at + 1] === star) {
      const past = commentEnd(bytes, at, end)
      if (past === null || tells(bytes, at + 2, past - 2)) return null
      made[length++] = space
      isInName = false
      at = past
    } else if (kind === doubtful || (kind === dash && bytes[at + 1] === byte)) {
      return null
    } else {
      made[length++] = byte
      isInName = false
      at++
    }
  }
  return made.toString('latin1', 0, length)
}

const isSetConfig = (bytes: Buffer, at: number): boolean =>
  bytes[at + 3] === 0x5f &&
  beginning(bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number) === setWord

/** Behind a parenthesis, or behind another string that it goes on. */
const isNamePlace = (sign: number): boolean => sign === open || kinds[sign] === quote

/** A block of code is told from its text as a whole. */
const isDo = (bytes: Buffer, at: number): boolean =>
  ((bytes[at] as number) | 0x20) === 0x64 && ((bytes[at + 1] as number) | 0x20) === 0x6f

/** What is appended begins a statement. */
const begins = (length: number): boolean => {
  const sign = lastSign(length)
  return sign === 0 || sign === semicolon
}

/** Of a name or a number, with the letters behind it. */
function wordEnd(bytes: Buffer, from: number, end: number): number {
  let at = from + 1
  for (; at < end; at++) {
    const kind = kinds[bytes[at] as number]
    if (kind !== letter && kind !== digit) break
  }
  return at
}

/** Behind its last quote; null: it does not end, or is read by settings. */
function stringEnd(bytes: Buffer, from: number, end: number): number | null {
  for (let at = from + 1; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === 0x5c || byte === 0) return null
    if (byte !== 0x27) continue
    if (bytes[at + 1] !== 0x27) return at + 1
    at++
  }
  return null
}

/** Behind its last quote; null: it does not end, or is read by settings. */
function nameEnd(bytes: Buffer, from: number, end: number): number | null {
  for (let at = from + 1; at < end; at++) {
    const kind = kinds[bytes[at] as number]
    if (kind === doubleQuote) return at + 1
    if (kind === doubtful) return null
  }
  return null
}

/** Behind it; null: it does not end, or has another in it. */
function commentEnd(bytes: Buffer, from: number, end: number): number | null {
  for (let at = from + 2; at + 1 < end; at++) {
    const isSlash = bytes[at + 1] === 0x2f
    if (bytes[at] === star && isSlash) return at + 2
    if (bytes[at] === 0x2f && bytes[at + 1] === star) return null
    if (kinds[bytes[at] as number] === doubtful) return null
  }
  return null
}

/** What stands there may have one of the words. */
function tells(bytes: Buffer, from: number, end: number): boolean {
  let isInWord = false
  for (let at = from; at + 2 < end; at++) {
    const kind = kinds[bytes[at] as number]
    if (kind !== letter && kind !== digit) {
      isInWord = false
    } else if (!isInWord) {
      const start = beginning(bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number)
      if (words.has(start)) return true
      isInWord = true
    }
  }
  return false
}

/** Behind which there is only space. */
function lastSign(length: number): number {
  let at = length - 1
  while (at >= 0 && (made[at] as number) <= space) at--
  return at < 0 ? 0 : (made[at] as number)
}

/** Where a list goes on whose last value ends at `valueEnd`; `length` itself: there is none. */
function listStart(length: number, valueEnd: number): number {
  const isList =
    (length === valueEnd + 1 && made[valueEnd] === comma) ||
    (length === valueEnd + 2 && made[valueEnd] === comma && made[valueEnd + 1] === space)
  return isList ? valueEnd : length
}

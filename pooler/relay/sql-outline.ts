// SQL with its comments and what stands in its strings blanked, each character in its place: what is found by
// patterns in it are words and names (Postgres manual, "Lexical Structure"). Linear. The client's encoding is not
// known: a letter may end in a sign (see wide-letters.ts).
import { commentEnd, dollarPattern, lineEnd, nameEnd, stringEnd } from './sql-lexemes.ts'

export interface SqlOutline {
  /** As long as the text. A string, of whatever form, is blanks between two `'`. */
  readonly text: string
  /** A name is written with escapes (`U&"…"`), or a string ends elsewhere by other settings or encodings. */
  readonly isUncertain: boolean
}

const specialPattern = /['"$]|--|\/\*/g
const namePattern = /[\w$\x80-\xff]/
/** Outside of strings they count as letters, where one may end in them. */
const signPattern = /(?<=[\x80-\xff])[@[\\\]^`{|}~]/g
/** It may be the end of a letter, and escape nothing. */
const doubtfulEscape = /[\x80-\xff]\\+'/
/** Behind it a prefix of a string, or a `$`, may go on a name. */
const doubtfulStart = /[\x80-\xff][@[\\\]^`{|}~]e?$/i

/** `text` has one character for each byte. */
export function outlineOf(text: string): SqlOutline {
  let [outline, at, isUncertain] = ['', 0, false]
  const passTo = (to: number): void => {
    outline += text.slice(at, to)
    at = to
  }
  const blankTo = (to: number, edge: string): void => {
    const blanks = ' '.repeat(Math.max(0, to - at - 2 * edge.length))
    // A quote that ends the text is no more than itself.
    outline += (edge + blanks + edge).slice(0, to - at)
    at = to
  }
  for (;;) {
    specialPattern.lastIndex = at
    const found = specialPattern.exec(text)
    if (found === null) break
    passTo(found.index)
    switch (found[0]) {
      case "'": {
        const hasEscapes = hasPrefix(text, at, 'e')
        const end = stringEnd(text, at, hasEscapes)
        const string = text.slice(at, end)
        // A backslash in front of a quote is an escape where standard_conforming_strings is off.
        if (hasEscapes ? doubtfulEscape.test(string) : string.includes("\\'")) isUncertain = true
        if (hasEscapes && isDoubtful(text, at)) isUncertain = true
        blankTo(end, "'")
        break
      }
      case '"':
        if (text[at - 1] === '&' && hasPrefix(text, at - 1, 'u')) isUncertain = true
        passTo(nameEnd(text, at) ?? text.length)
        break
      case '$': {
        const end = dollarEnd(text, at)
        if (isDoubtful(text, at)) isUncertain = true
        if (end === null) passTo(at + 1)
        else blankTo(end, "'")
        break
      }
      case '--':
        blankTo(lineEnd(text, at), '')
        break
      default:
        blankTo(commentEnd(text, at), '')
    }
  }
  passTo(text.length)
  return { text: outline.replace(signPattern, '\x80'), isUncertain }
}

/** What begins at `at` may be part of a name. */
const isDoubtful = (text: string, at: number): boolean =>
  doubtfulStart.test(text.slice(Math.max(0, at - 3), at))

/** The letter stands right in front, and is not the end of a word. */
function hasPrefix(text: string, at: number, letter: string): boolean {
  if (text[at - 1]?.toLowerCase() !== letter) return false
  return at < 2 || !namePattern.test(text[at - 2] as string)
}

/** null: it begins no string. */
function dollarEnd(text: string, at: number): number | null {
  if (at > 0 && namePattern.test(text[at - 1] as string)) return null
  dollarPattern.lastIndex = at
  const delimiter = dollarPattern.exec(text)?.[0]
  if (delimiter === undefined) return null
  const end = text.indexOf(delimiter, at + delimiter.length)
  return end === -1 ? text.length : end + delimiter.length
}

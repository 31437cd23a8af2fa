// SQL with its comments and what stands in its strings blanked, each character in its place: what is found by
// patterns in it are words and names (Postgres manual, "Lexical Structure"). Linear.

export interface SqlOutline {
  /** As long as the text. A string, of whatever form, is blanks between two `'`. */
  readonly text: string
  /** A name is written with escapes (`U&"…"`), or a string ends elsewhere by other settings. */
  readonly isUncertain: boolean
}

const specialPattern = /['"$]|--|\/\*/g
const dollarPattern = /\$(?:[a-z_\x80-\xff][\w\x80-\xff]*)?\$/iy
const namePattern = /[\w$\x80-\xff]/
const lineEndPattern = /[\n\r]/g

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
        const end = stringEnd(text, at, hasPrefix(text, at, 'e'))
        // A backslash in front of a quote is an escape where standard_conforming_strings is off.
        if (!hasPrefix(text, at, 'e') && text.slice(at, end).includes("\\'")) isUncertain = true
        blankTo(end, "'")
        break
      }
      case '"':
        if (text[at - 1] === '&' && hasPrefix(text, at - 1, 'u')) isUncertain = true
        passTo(nameEnd(text, at))
        break
      case '$': {
        const end = dollarEnd(text, at)
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
  return { text: outline, isUncertain }
}

/** The letter stands right in front, and is not the end of a word. */
function hasPrefix(text: string, at: number, letter: string): boolean {
  if (text[at - 1]?.toLowerCase() !== letter) return false
  return at < 2 || !namePattern.test(text[at - 2] as string)
}

/** Behind the quote that ends it, or the end of the text. */
function stringEnd(text: string, quoteAt: number, hasBackslashes: boolean): number {
  for (let at = quoteAt + 1; at < text.length; at++) {
    const letter = text[at]
    if (letter === '\\' && hasBackslashes) at++
    else if (letter === "'") {
      if (text[at + 1] !== "'") return at + 1
      at++
    }
  }
  return text.length
}

function nameEnd(text: string, quoteAt: number): number {
  let end = text.indexOf('"', quoteAt + 1)
  while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2)
  return end === -1 ? text.length : end + 1
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

function lineEnd(text: string, at: number): number {
  lineEndPattern.lastIndex = at
  return lineEndPattern.exec(text)?.index ?? text.length
}

/** Comments nest. */
function commentEnd(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if (text[at] === '/' && text[at + 1] === '*') depth++
    else if (text[at] === '*' && text[at + 1] === '/') depth--
    else continue
    at++
    if (depth === 0) return at + 1
  }
  return text.length
}

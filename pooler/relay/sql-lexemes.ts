// Where parts of SQL that hide keywords and names end (Postgres manual, "Lexical Structure"). Texts have one
// character for each byte. Linear.

/** Where it stands; letters of some encodings end in these signs (see wide-letters.ts), and here they are none. */
export const dollarPattern =
  /\$(?:[a-z_\x80-\xff](?:[\w\x80-\xff]|(?<=[\x80-\xff])[@[\\\]^`{|}~])*)?\$/iy
const lineEndPattern = /[\n\r]/g
/** Behind a string, in front of its further part: white space with a line's end, and comments to a line's end. */
const goesOnPattern =
  /(?:[ \t\f\v]|--[^\n\r]*(?=[\n\r]))*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y

/** Behind the quote that ends it, or the end of the text; its parts are read alike. */
export function stringEnd(text: string, quoteAt: number, hasBackslashes: boolean): number {
  for (let at = quoteAt + 1; at < text.length; at++) {
    const letter = text[at]
    if (letter === '\\' && hasBackslashes) at++
    else if (letter === "'") {
      if (text[at + 1] === "'") at++
      else {
        goesOnPattern.lastIndex = at + 1
        if (!goesOnPattern.test(text)) return at + 1
        at = goesOnPattern.lastIndex - 1
      }
    }
  }
  return text.length
}

/** Behind the quote that ends the name; null: there is none. */
export function nameEnd(text: string, quoteAt: number): number | null {
  let end = text.indexOf('"', quoteAt + 1)
  while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2)
  return end === -1 ? null : end + 1
}

export function lineEnd(text: string, at: number): number {
  lineEndPattern.lastIndex = at
  return lineEndPattern.exec(text)?.index ?? text.length
}

/** Comments nest. */
export function commentEnd(text: string, from: number): number {
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

// Cuts SQL into the few kinds of tokens that it takes to find keywords and names (Postgres manual,
// "Lexical Structure"): what stands in comments, strings and quotes is no keyword. Synchronous, linear.

export type TokenKind =
  | 'word'
  /** A quoted identifier; `value` is what it names. */
  | 'quoted'
  | 'string'
  | 'semicolon'
  | 'open'
  | 'close'
  | 'other'
  | 'end'

const wordPattern = /[a-z_\x80-\xff][\w$\x80-\xff]*/iy
const numberPattern = /[\d.][\w.$\x80-\xff]*/y
const dollarPattern = /\$(?:[a-z_\x80-\xff][\w\x80-\xff]*)?\$/iy
const spacePattern = /[ \t\n\r\f\v]+/y
const lineEndPattern = /[\n\r]/g

export class SqlScanner {
  readonly #text: string
  readonly #hasBackslashes: boolean
  /** Of the token: where it begins, and where it ends. */
  from = 0
  to = 0
  kind: TokenKind = 'other'
  /** Of a word, as written; of a quoted name, what it names. */
  value = ''

  /**
   * `text` has one character for each byte. `hasBackslashes`: standard_conforming_strings is off, so
   * that a backslash escapes in every string.
   */
  constructor(text: string, hasBackslashes: boolean) {
    this.#text = text
    this.#hasBackslashes = hasBackslashes
  }

  next(): TokenKind {
    this.#skipSpace()
    this.from = this.to
    this.value = ''
    this.kind = this.#read()
    return this.kind
  }

  /** A word in any case; `word` is in lower case. */
  is(word: string): boolean {
    return this.kind === 'word' && this.value.toLowerCase() === word
  }

  #read(): TokenKind {
    const letter = this.#text[this.to]
    if (letter === undefined) return 'end'
    if (letter === "'") return this.#string(this.to, this.#hasBackslashes)
    if (letter === '"') return this.#quoted(this.to)
    if (this.#match(wordPattern)) return this.#wordOrString()
    if (this.#match(numberPattern)) return 'other'
    if (letter === '$' && this.#match(dollarPattern)) {
      const end = this.#text.indexOf(this.value, this.to)
      this.to = end === -1 ? this.#text.length : end + this.value.length
      return 'string'
    }
    this.to++
    if (letter === ';') return 'semicolon'
    if (letter === '(') return 'open'
    return letter === ')' ? 'close' : 'other'
  }

  /** A word, unless it is the letter in front of a string: E'…', B'…', X'…', N'…', U&'…', U&"…". */
  #wordOrString(): TokenKind {
    const text = this.#text
    const prefix = this.value.toLowerCase()
    if (text[this.to] === "'" && prefix.length === 1 && 'ebxn'.includes(prefix)) {
      return this.#string(this.to, prefix === 'e' || (prefix === 'n' && this.#hasBackslashes))
    }
    if (prefix !== 'u' || text[this.to] !== '&') return 'word'
    if (text[this.to + 1] === "'") return this.#string(this.to + 1, false)
    if (text[this.to + 1] !== '"') return 'word'
    this.#quoted(this.to + 1)
    // With escapes it may name anything, in an encoding that is not known here.
    return this.value.includes('\\') ? 'other' : 'quoted'
  }

  #string(quoteAt: number, hasBackslashes: boolean): TokenKind {
    const text = this.#text
    let at = quoteAt + 1
    for (; at < text.length; at++) {
      const letter = text[at]
      if (letter === '\\' && hasBackslashes) at++
      else if (letter === "'") {
        if (text[at + 1] !== "'") break
        at++
      }
    }
    this.to = Math.min(at + 1, text.length)
    return 'string'
  }

  #quoted(quoteAt: number): TokenKind {
    const text = this.#text
    let end = text.indexOf('"', quoteAt + 1)
    while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2)
    this.to = end === -1 ? text.length : end + 1
    if (end === -1) return 'other'
    this.value = text.slice(quoteAt + 1, end).replaceAll('""', '"')
    return 'quoted'
  }

  #skipSpace(): void {
    const text = this.#text
    for (;;) {
      this.#match(spacePattern)
      if (text.startsWith('--', this.to)) {
        lineEndPattern.lastIndex = this.to
        this.to = lineEndPattern.exec(text)?.index ?? text.length
      } else if (text.startsWith('/*', this.to)) this.#skipComment()
      else return
    }
  }

  /** Comments nest. */
  #skipComment(): void {
    const text = this.#text
    let depth = 0
    for (let at = this.to; at < text.length; at++) {
      if (text[at] === '/' && text[at + 1] === '*') depth++
      else if (text[at] === '*' && text[at + 1] === '/') depth--
      else continue
      at++
      if (depth > 0) continue
      this.to = at + 1
      return
    }
    this.to = text.length
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.to
    const found = pattern.exec(this.#text)
    if (found === null) return false
    this.value = found[0]
    this.to = pattern.lastIndex
    return true
  }
}

// Cuts SQL into the few kinds of tokens that it takes to find keywords and names (Postgres manual,
// "Lexical Structure"): what stands in comments, strings and quotes is no keyword. Synchronous, linear.
import { commentEnd, dollarPattern, lineEnd, nameEnd, stringEnd } from './sql-lexemes.ts'
import { withoutSigns } from './wide-letters.ts'

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
const spacePattern = /[ \t\n\r\f\v]+/y

export class SqlScanner {
  /** As it came; and without what is no sign in its client's encoding. */
  readonly #written: string
  readonly #text: string
  readonly #hasBackslashes: boolean
  /** Of the token: where it begins, and where it ends. */
  from = 0
  to = 0
  kind: TokenKind = 'other'
  /** Of a word, as read; of a quoted name, what it names. */
  value = ''

  /**
   * `text` has one character for each byte. `hasBackslashes`: standard_conforming_strings is off, so
   * that a backslash escapes in every string. `encoding`: the client's; undefined: one whose letters have no
   * signs in them.
   */
  constructor(text: string, hasBackslashes: boolean, encoding?: string) {
    this.#written = text
    this.#text = withoutSigns(text, encoding)
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

  /** What a word or a quoted name names. Letters beyond ASCII Postgres keeps in UTF-8 as they are. */
  get name(): string {
    if (this.kind === 'quoted') return this.value
    const written = this.#written.slice(this.from, this.to)
    return written.replace(/[A-Z]/g, (letter, at: number) => {
      return this.value[at] === letter ? letter.toLowerCase() : letter
    })
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
    this.to = stringEnd(this.#text, quoteAt, hasBackslashes)
    return 'string'
  }

  #quoted(quoteAt: number): TokenKind {
    const end = nameEnd(this.#text, quoteAt)
    this.to = end ?? this.#text.length
    if (end === null) return 'other'
    this.value = this.#written.slice(quoteAt + 1, end - 1).replaceAll('""', '"')
    return 'quoted'
  }

  #skipSpace(): void {
    const text = this.#text
    for (;;) {
      this.#match(spacePattern)
      if (text.startsWith('--', this.to)) this.to = lineEnd(text, this.to)
      else if (text.startsWith('/*', this.to)) this.to = commentEnd(text, this.to)
      else return
    }
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

// One console command as words. Names may be quoted as in SQL; nothing else of SQL is known here.
import { refused } from '../pool/command-refusal.ts'

/** The longest command names a role, a ref and a database, all quoted. */
export const commandCharactersMax = 2_000

export interface Word {
  readonly text: string
  readonly isQuoted: boolean
}

const space = /\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\//y
const plain = /[\p{L}\p{N}_.*/-]+/uy
const quoted = /"((?:[^"]|"")*)"|'((?:[^']|'')*)'/y

/** Empty for a text without a command. Throws EADMINCOMMAND. */
export function readWords(text: string): readonly Word[] {
  if (text.length > commandCharactersMax) throw refused('the command is too long')
  const words: Word[] = []
  let at = 0
  let isOver = false
  while (at < text.length) {
    if (match(space, text, at) !== null) at = space.lastIndex
    else if (text[at] === ';') {
      isOver = true
      at++
    } else if (isOver) throw refused('one command at a time')
    else {
      const found = match(quoted, text, at)
      const next = found === null ? match(plain, text, at) : found
      if (next === null) throw refused(`unexpected ${JSON.stringify(text.slice(at, at + 10))}`)
      const inner =
        found === null
          ? null
          : (found[1]?.replaceAll('""', '"') ?? found[2]?.replaceAll("''", "'") ?? '')
      words.push({ text: inner ?? next[0], isQuoted: inner !== null })
      at = found === null ? plain.lastIndex : quoted.lastIndex
    }
  }
  return words
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

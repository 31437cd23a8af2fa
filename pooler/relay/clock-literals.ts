// Literals of which Postgres takes the time at Parse, such as timestamptz 'now' and '12:00 tomorrow': a text
// with one of them means something else each time that it is parsed.
import { outlineOf } from './sql-outline.ts'

/** Without letters around it; the letter of an escape (`E'\ttoday'`) is none. */
const clockWord = /(?<!(?<!\\)[a-z])(?:now|today|tomorrow|yesterday)(?![a-z])/gi

/** `text` has one character for each byte. A word in a comment counts as well. */
export function readsClock(text: string): boolean {
  if (text.search(clockWord) === -1) return false
  const outline = outlineOf(text)
  if (outline.isUncertain) return true
  for (const { 0: word, index } of text.matchAll(clockWord))
    if (!outline.text.startsWith(word, index)) return true
  return false
}

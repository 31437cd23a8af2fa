// SASLprep (RFC 4013) with the choices that Postgres makes, so that a password gives the same keys
// here as there. It normalizes; it does not judge whether a password is a good one.
import {
  type CodePointTable,
  isInTable,
  leftToRight,
  mappedToNothing,
  prohibited,
  rightToLeft,
  spaces,
  unassigned,
} from './saslprep-tables.ts'

/**
 * The prepared form of a password. Where the profile forbids the text, Postgres falls back to the
 * password as it was given (scram-common.c), and so does this. ASCII is never touched, not even its
 * control characters, and the tables are asked about the mapped text before normalization: both are
 * Postgres' reading, and both show in the keys.
 */
export function saslprep(password: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII, control characters too
  if (/^[\x00-\x7f]*$/.test(password)) return password
  const mapped = mapCodePoints(password)
  if (mapped.length === 0 || !isAllowed(mapped)) return password
  return mapped
    .map((codePoint) => String.fromCodePoint(codePoint))
    .join('')
    .normalize('NFKC')
}

function mapCodePoints(text: string): number[] {
  const mapped: number[] = []
  for (const character of text) {
    const codePoint = character.codePointAt(0) as number
    // U+200B is in both tables; Postgres makes a space of it.
    if (isInTable(spaces, codePoint)) mapped.push(0x20)
    else if (!isInTable(mappedToNothing, codePoint)) mapped.push(codePoint)
  }
  return mapped
}

function isAllowed(codePoints: readonly number[]): boolean {
  const isIn = (table: CodePointTable) => (codePoint: number) => isInTable(table, codePoint)
  if (codePoints.some(isIn(prohibited)) || codePoints.some(isIn(unassigned))) return false
  if (!codePoints.some(isIn(rightToLeft))) return true
  // RFC 3454 section 6: right-to-left text holds no left-to-right character and both starts and ends
  // with a right-to-left one.
  return (
    !codePoints.some(isIn(leftToRight)) &&
    isInTable(rightToLeft, codePoints[0] as number) &&
    isInTable(rightToLeft, codePoints.at(-1) as number)
  )
}

// Says of two lists of replies whether a client could tell them apart. What differs between any two
// runs (error texts beside their SQLSTATE, column types, positions) is left out.

import type { RawMessage } from './raw-messages.ts'
import { cstringsOf, errorFields, rowValues } from './raw-replies.ts'

/** What a client sees of one reply, in one word without spaces for the most part. */
export function essence({ type, body }: RawMessage): string {
  switch (type) {
    case 'E':
    case 'N': {
      const fields = errorFields(body)
      return `${type}(${fields.V ?? fields.S} ${fields.C})`
    }
    case 'Z':
      return `Z(${body.toString('latin1')})`
    case 'C':
      return `C(${cstringsOf(body)[0]})`
    case 'S':
      return `S(${cstringsOf(body).join('=')})`
    case 'D':
      return `D(${rowValues(body).map(String).join('|')})`
    case 'd':
      return `d(${body.toString('utf8', 0, 40).trim()})`
    case 'T':
      return `T(${body.readUInt16BE(0)})`
    case 't':
      return `t(${body.readUInt16BE(0)})`
    default:
      return type
  }
}

/** Throws with the place of the first difference and what stands around it. */
export function assertSameReplies(
  actual: readonly RawMessage[],
  expected: readonly RawMessage[],
  context: string,
): void {
  const seen = actual.map(essence)
  const wanted = expected.map(essence)
  const length = Math.max(seen.length, wanted.length)
  for (let index = 0; index < length; index += 1) {
    if (seen[index] === wanted[index]) continue
    const from = Math.max(0, index - 6)
    throw new Error(
      [
        `reply ${index + 1} is ${seen[index] ?? 'missing'}, expected ${wanted[index] ?? 'none'}`,
        `  got      ${seen.slice(from, index + 4).join(' ')}`,
        `  expected ${wanted.slice(from, index + 4).join(' ')}`,
        context,
      ].join('\n'),
    )
  }
}

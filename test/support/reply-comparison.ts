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

/**
 * A pooler that brings a statement along in a failed transaction is told 25P02 for its Parse, where
 * the statement itself would have met another error or none. The batch fails alike or leaves alike.
 */
export function refusedAlike(
  actual: readonly RawMessage[],
  expected: readonly RawMessage[],
): RawMessage[] {
  const batches = batchesOf(expected)
  return batchesOf(actual).flatMap((batch, index) => {
    const wanted = batches[index] ?? []
    const [last, error] = [batch.at(-1), batch.at(-2)]
    const isRefused =
      error?.type === 'E' && errorFields(error.body).C === '25P02' && last?.body.toString() === 'E'
    const isFailed = wanted.at(-1)?.type === 'Z' && wanted.at(-1)?.body.toString() === 'E'
    return isRefused && isFailed ? wanted : batch
  })
}

/** Cut behind each ReadyForQuery. */
export function batchesOf(replies: readonly RawMessage[]): RawMessage[][] {
  const batches: RawMessage[][] = [[]]
  for (const reply of replies) {
    batches.at(-1)?.push(reply)
    if (reply.type === 'Z') batches.push([])
  }
  return batches
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

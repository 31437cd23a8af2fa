import { describe, expect, test } from 'vitest'
import { PoolerError } from '../../../shared/errors.ts'
import { MessageReader } from '../../../shared/protocol/message-reader.ts'
import * as raw from '../../support/raw-messages.ts'
import { SeededRandom } from '../../support/seeded-random.ts'
import { cutSegments, oneByteEach, randomPieces, splitAt } from '../../support/segments.ts'

const stream = Buffer.concat([
  raw.passwordMessage('secret'),
  raw.sync(),
  raw.query(''),
  raw.copyData(Buffer.alloc(200, 9)),
])
const expected = ['p:7', 'S:0', 'Q:1', 'd:200']

function readAll(chunks: readonly Buffer[]): string[] {
  const reader = new MessageReader({ bodyBytesMax: 1000 })
  const seen: string[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let next = reader.next(); next !== null; next = reader.next()) {
      seen.push(`${String.fromCharCode(next.type)}:${next.body.length}`)
    }
  }
  expect(reader.takeRest().length).toBe(0)
  return seen
}

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof PoolerError) return error.code
    throw error
  }
  return 'none'
}

describe('message reader', () => {
  test('gives whole messages however they were cut', () => {
    const random = new SeededRandom(6)
    expect(readAll([stream])).toEqual(expected)
    expect(readAll(cutSegments(stream, oneByteEach))).toEqual(expected)
    for (let offset = 1; offset < stream.length; offset += 1) {
      expect(readAll(cutSegments(stream, splitAt(offset))), `at ${offset}`).toEqual(expected)
    }
    for (let round = 0; round < 100; round += 1) {
      expect(readAll(cutSegments(stream, randomPieces(random, 20)))).toEqual(expected)
    }
  })

  test('a body stays what it was when more comes in', () => {
    const reader = new MessageReader({ bodyBytesMax: 100 })
    for (const piece of cutSegments(raw.query('first'), splitAt(3))) reader.push(piece)
    const body = reader.next()?.body
    reader.push(raw.query('other'))
    reader.next()
    expect(body?.toString()).toBe('first\0')
  })

  test.each([0, 1, 3])('a length of %i is a breach of the protocol', (length) => {
    const reader = new MessageReader({ bodyBytesMax: 100 })
    reader.push(raw.messageHeader('p', length))
    expect(codeOf(() => reader.next())).toBe('EPROTOCOL')
  })

  test.each([105, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])(
    'a length of %i is refused by its header alone, before the body comes',
    (length) => {
      const reader = new MessageReader({ bodyBytesMax: 100 })
      reader.push(raw.messageHeader('p', length))
      expect(codeOf(() => reader.next())).toBe('EMESSAGETOOLARGE')
    },
  )

  test('a body of exactly the limit is let in', () => {
    const reader = new MessageReader({ bodyBytesMax: 100 })
    reader.push(raw.copyData(Buffer.alloc(100)))
    expect(reader.next()?.body.length).toBe(100)
  })

  test('what no message has taken is given out once, for the next stage', () => {
    const reader = new MessageReader({ bodyBytesMax: 100 })
    const rest = Buffer.concat([raw.query('select 1'), raw.messageHeader('Q', 50).subarray(0, 3)])
    for (const piece of cutSegments(Buffer.concat([raw.sync(), rest]), splitAt(2, 7, 11))) {
      reader.push(piece)
    }
    reader.next()
    expect(reader.takeRest()).toEqual(rest)
    expect(reader.takeRest().length).toBe(0)
    expect(reader.next()).toBe(null)
  })
})

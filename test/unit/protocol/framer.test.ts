import { describe, expect, test } from 'vitest'
import { Framer, needMore } from '../../../shared/protocol/framer.ts'
import * as raw from '../../support/raw-messages.ts'
import { SeededRandom } from '../../support/seeded-random.ts'
import { cutSegments, oneByteEach, randomPieces, splitAt, whole } from '../../support/segments.ts'

/** `type:bodyBytes` of every message, and whether the stream ended between two of them. */
function frame(chunks: readonly Buffer[]) {
  const framer = new Framer()
  const seen: string[] = []
  for (const chunk of chunks) {
    let at = framer.skipBody(chunk, 0)
    while (at < chunk.length) {
      at = framer.nextHeader(chunk, at)
      if (at === needMore) break
      seen.push(`${String.fromCharCode(framer.type)}:${framer.bodyBytes}`)
      at = framer.skipBody(chunk, at)
    }
  }
  return { seen, framer }
}

const stream = Buffer.concat([
  raw.query('select 1'),
  raw.sync(),
  raw.parse('name', 'select $1', [23]),
  raw.sync(),
  raw.sync(),
  raw.copyData(Buffer.alloc(300, 7)),
])
const expected = ['Q:9', 'S:0', 'P:21', 'S:0', 'S:0', 'd:300']

describe('framer', () => {
  test('finds every message whole, byte by byte, and split at every single offset', () => {
    expect(frame([stream]).seen).toEqual(expected)
    expect(frame(cutSegments(stream, oneByteEach)).seen).toEqual(expected)
    for (let offset = 1; offset < stream.length; offset += 1) {
      const { seen, framer } = frame(cutSegments(stream, splitAt(offset)))
      expect(seen, `split at ${offset}`).toEqual(expected)
      expect(framer.isAtBoundary).toBe(true)
    }
  })

  test('finds every message in random pieces', () => {
    const random = new SeededRandom(5)
    for (let round = 0; round < 200; round += 1) {
      const pieces = cutSegments(stream, randomPieces(random, 1 + random.int(40)))
      expect(frame(pieces).seen).toEqual(expected)
    }
  })

  test('is at a boundary only when neither a header nor a body is outstanding', () => {
    const message = raw.query('x')
    for (let bytes = 0; bytes <= message.length; bytes += 1) {
      const { framer } = frame([message.subarray(0, bytes)])
      expect(framer.isAtBoundary, `${bytes} bytes`).toBe(bytes === 0 || bytes === message.length)
      expect(framer.headerBytesHeld).toBe(bytes < 5 ? bytes : 0)
      expect(framer.bodyLeft).toBe(bytes < 5 ? 0 : message.length - bytes)
    }
  })

  test.each([
    ['a length below 4', 3, -1],
    ['a length of 0', 0, -4],
    ['a length of 2^31, which is no negative number', 0x8000_0000, 0x7fff_fffc],
    ['a length of 2^32-1', 0xffff_ffff, 0xffff_fffb],
  ])('%s reads the same whole and split', (_what, length, bodyBytes) => {
    const header = raw.messageHeader('Q', length)
    for (const segmentation of [whole, oneByteEach, splitAt(1), splitAt(3)]) {
      const framer = new Framer()
      for (const chunk of cutSegments(header, segmentation)) framer.nextHeader(chunk, 0)
      expect(framer.bodyBytes).toBe(bodyBytes)
    }
  })

  test('a body of a gigabyte is counted down and never held', () => {
    const framer = new Framer()
    framer.nextHeader(raw.messageHeader('d', 1_000_000_004), 0)
    const chunk = Buffer.alloc(1_000_000)
    for (let passed = 1; passed < 1000; passed += 1) {
      expect(framer.skipBody(chunk, 0)).toBe(chunk.length)
      expect(framer.bodyLeft).toBe(1_000_000_000 - passed * 1_000_000)
    }
    expect(framer.skipBody(Buffer.concat([chunk, raw.sync()]), 0)).toBe(1_000_000)
    expect(framer.isAtBoundary).toBe(true)
  })
})

import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { SeededRandom, withSeed } from '../../support/seeded-random.ts'
import {
  cutSegments,
  oneByteEach,
  randomPieces,
  splitAt,
  whole,
  writeSegments,
} from '../../support/segments.ts'

const bytes = Buffer.from('abcdefghij')
const cut = (...args: Parameters<typeof cutSegments>) => cutSegments(...args).map(String)

describe('segments', () => {
  test('whole bytes stay one piece, and no bytes are no piece', () => {
    expect(cut(bytes, whole)).toEqual(['abcdefghij'])
    expect(cut(Buffer.alloc(0), oneByteEach)).toEqual([])
  })

  test('one byte each gives every byte its own piece', () => {
    expect(cut(bytes, oneByteEach)).toEqual([...'abcdefghij'])
  })

  test('cuts outside the bytes and cuts given twice make no empty piece', () => {
    expect(cut(bytes, splitAt(7, 3, 3, 0, 10, 99, -1))).toEqual(['abc', 'defg', 'hij'])
  })

  test('random pieces join to the same bytes, are of many sizes, and repeat with the seed', () => {
    const sizes = new Set<number>()
    for (let seed = 0; seed < 50; seed += 1) {
      const pieces = cutSegments(bytes, randomPieces(new SeededRandom(seed), 4))
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
      for (const piece of pieces) sizes.add(piece.length)
      expect(cutSegments(bytes, randomPieces(new SeededRandom(seed), 4))).toEqual(pieces)
    }
    expect([...sizes].sort()).toEqual([1, 2, 3, 4])
  })

  test('each piece is written on its own and in order', async () => {
    const stream = new PassThrough()
    const chunks: string[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
    await writeSegments(stream, bytes, splitAt(1, 4))
    expect(chunks).toEqual(['a', 'bcd', 'efghij'])
  })

  test('a stream that closes in the middle ends the writing without an error', async () => {
    const stream = new PassThrough()
    stream.once('data', () => stream.destroy())
    await writeSegments(stream, bytes, oneByteEach)
    expect(stream.destroyed).toBe(true)
  })
})

describe('seeded random', () => {
  test('the same seed gives the same numbers and another seed others', () => {
    const draw = (seed: number) => {
      const random = new SeededRandom(seed)
      return Array.from({ length: 20 }, () => random.int(1000))
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  test('weights of zero are never picked and heavier names come more often', () => {
    const random = new SeededRandom(1)
    const counts = { never: 0, seldom: 0, often: 0 }
    for (let round = 0; round < 4000; round += 1) {
      counts[random.weighted({ never: 0, seldom: 1, often: 3 })] += 1
    }
    expect(counts.never).toBe(0)
    expect(counts.often).toBeGreaterThan(counts.seldom * 2)
    expect(counts.seldom).toBeGreaterThan(800)
  })

  test('a failure names the seed that has it again', async () => {
    const failing = withSeed(42, (random) => {
      throw new Error(`drew ${random.int(10)}`)
    })
    await expect(failing).rejects.toThrow(/^SEED=42: drew \d$/)
  })
})

import { describe, expect, test } from 'vitest'
import { Pump, seenBytesMax } from '../../../pooler/relay/pump.ts'
import type { Transport } from '../../../pooler/relay/transport.ts'
import { drop, forward, hold, type Verdict } from '../../../pooler/relay/verdicts.ts'
import * as raw from '../../support/raw-messages.ts'
import { SeededRandom } from '../../support/seeded-random.ts'
import { cutSegments, oneByteEach, randomPieces, splitAt, whole } from '../../support/segments.ts'

/** Verdicts by letter: `d` is dropped, `h` held until `mayPass`, all else forwarded; `s` and `d` are seen. */
class TestPump extends Pump {
  readonly headers: string[] = []
  readonly bodies: string[] = []
  readonly written: Buffer[] = []
  badLength: number | null = null
  mayPass = false
  stopsAt = ''
  #hasStopped = false

  constructor() {
    super()
    this.output = { write: (chunk: Buffer) => this.written.push(chunk) > 0 } as unknown as Transport
  }

  get passed(): Buffer {
    return Buffer.concat(this.written)
  }

  protected override get isStopped(): boolean {
    return this.#hasStopped
  }

  protected override onHeader(type: number, bodyBytes: number): Verdict {
    const letter = String.fromCharCode(type)
    if (letter === 'h' && !this.mayPass) return hold
    this.headers.push(`${letter}:${bodyBytes}`)
    if (letter === this.stopsAt) this.#hasStopped = true
    if (letter === 's' || letter === 'd') this.see()
    return letter === 'd' ? drop : forward
  }

  protected override onBadLength(bodyBytes: number): void {
    this.badLength = bodyBytes
    this.#hasStopped = true
  }

  protected override onBody(type: number, bytes: Buffer, at: number, end: number): void {
    this.bodies.push(`${String.fromCharCode(type)}=${bytes.toString('latin1', at, end)}`)
  }
}

const body = (text: string) => Buffer.from(text)
const forwarded = [raw.message('f', body('one')), raw.message('s', body('seen')), raw.message('f')]
const dropped = [raw.message('d', body('gone')), raw.message('d')]
const stream = Buffer.concat([
  forwarded[0] as Buffer,
  dropped[0] as Buffer,
  forwarded[1] as Buffer,
  dropped[1] as Buffer,
  dropped[0] as Buffer,
  forwarded[2] as Buffer,
  forwarded[0] as Buffer,
])
const passed = Buffer.concat([...forwarded, forwarded[0] as Buffer])
const headers = ['f:3', 'd:4', 's:4', 'd:0', 'd:4', 'f:0', 'f:3']
const bodies = ['d=gone', 's=seen', 'd=', 'd=gone']

function pumpOf(chunks: readonly Buffer[]): TestPump {
  const pump = new TestPump()
  for (const chunk of chunks) expect(pump.feed(chunk)).toBe(null)
  return pump
}

describe('pump', () => {
  const expectAll = (pump: TestPump, how: string) => {
    expect(pump.passed, how).toEqual(passed)
    expect(pump.headers, how).toEqual(headers)
    expect(pump.bodies, how).toEqual(bodies)
    expect(pump.isAtBoundary).toBe(true)
    expect(pump.isEmpty).toBe(true)
  }

  test('passes, drops and shows the same whole, byte by byte, and split at any two offsets', () => {
    expectAll(pumpOf([stream]), 'whole')
    expectAll(pumpOf(cutSegments(stream, oneByteEach)), 'bytes')
    for (let one = 1; one < stream.length; one += 1) {
      for (let other = one; other < stream.length; other += 1) {
        expectAll(pumpOf(cutSegments(stream, splitAt(one, other))), `split at ${one}, ${other}`)
      }
    }
  })

  test('passes the same in random pieces of long streams', () => {
    const random = new SeededRandom(7)
    for (let round = 0; round < 30; round += 1) {
      const messages = Array.from({ length: 50 }, () =>
        raw.message(random.pick(['f', 's', 'd']), Buffer.alloc(random.int(60), random.int(256))),
      )
      const kept = messages.filter((message) => message[0] !== 0x64)
      const pump = pumpOf(cutSegments(Buffer.concat(messages), randomPieces(random, 90)))
      expect(pump.passed).toEqual(Buffer.concat(kept))
      expect(pump.headers.length).toBe(50)
    }
  })

  test('a chunk that is all forwarded goes on as the very same piece, uncopied', () => {
    const chunk = Buffer.concat([raw.message('f', body('a')), raw.message('f', body('b'))])
    const pump = pumpOf([chunk])
    expect(pump.written.length).toBe(1)
    expect(pump.written[0]).toBe(chunk)
  })

  test('a run of forwarded messages is one write', () => {
    const chunk = Buffer.concat([
      raw.message('d'),
      raw.message('f'),
      raw.message('s', body('x')),
      raw.message('d'),
    ])
    expect(pumpOf([chunk]).written.length).toBe(1)
  })

  test('no byte of a split header is passed before the message is known', () => {
    const message = raw.message('d', body('secret'))
    for (let bytes = 1; bytes < message.length; bytes += 1) {
      const pump = pumpOf([Buffer.concat([raw.message('f'), message.subarray(0, bytes)])])
      expect(pump.passed).toEqual(raw.message('f'))
      expect(pump.isAtBoundary).toBe(true)
      expect(pump.isEmpty).toBe(false)
    }
  })

  test('is not at a boundary inside a forwarded body, and is inside a dropped one', () => {
    expect(pumpOf([raw.message('f', body('abc')).subarray(0, 6)]).isAtBoundary).toBe(false)
    expect(pumpOf([raw.message('f', body('abc')).subarray(0, 5)]).isAtBoundary).toBe(false)
    expect(pumpOf([raw.message('d', body('abc')).subarray(0, 6)]).isAtBoundary).toBe(true)
  })

  test('a held message comes back whole from its first byte, and all that follows, at any split', () => {
    const before = raw.message('f', body('before'))
    const held = Buffer.concat([raw.message('h', body('held')), raw.message('f', body('after'))])
    const bytes = Buffer.concat([before, held])
    for (let split = 1; split < bytes.length; split += 1) {
      const pump = new TestPump()
      let pending: Buffer | null = null
      for (const chunk of cutSegments(bytes, splitAt(split))) {
        if (pending === null) pending = pump.feed(chunk)
        else pending = Buffer.concat([pending, chunk])
      }
      expect(pump.passed, `split at ${split}`).toEqual(before)
      expect(pending).toEqual(held)
      pump.mayPass = true
      expect(pump.feed(pending as Buffer)).toBe(null)
      expect(pump.passed).toEqual(bytes)
      expect(pump.headers).toEqual(['f:6', 'h:4', 'f:5'])
    }
  })

  test.each([-4, -1, 0x4000_0000, 0xffff_fffb])('a body of %i bytes ends it', (bodyBytes) => {
    const good = raw.message('f', body('good'))
    const bytes = Buffer.concat([good, raw.messageHeader('f', bodyBytes + 4), good])
    for (const segmentation of [whole, oneByteEach, splitAt(good.length + 2)]) {
      const pump = new TestPump()
      for (const chunk of cutSegments(bytes, segmentation)) pump.feed(chunk)
      expect(pump.badLength).toBe(bodyBytes)
      expect(pump.headers).toEqual(['f:4'])
      expect(pump.passed.subarray(0, good.length)).toEqual(good)
      expect(pump.passed.length).toBe(good.length)
      expect(pump.isAtBoundary).toBe(true)
    }
  })

  test('the largest message that Postgres sends is none too large', () => {
    const pump = pumpOf([raw.messageHeader('f', 0x3fff_ffff)])
    expect(pump.badLength).toBe(null)
    expect(pump.isAtBoundary).toBe(false)
  })

  test('of a large body that is split only the beginning is kept to be seen', () => {
    const large = raw.message('s', Buffer.alloc(seenBytesMax * 3, 'x'))
    const pump = pumpOf(cutSegments(large, splitAt(6, 20_000, 40_000)))
    expect(pump.passed).toEqual(large)
    expect(pump.bodies).toEqual([`s=${'x'.repeat(seenBytesMax)}`])
  })

  test('nothing behind the message at which it stops is looked at', () => {
    const pump = new TestPump()
    pump.stopsAt = 'd'
    pump.feed(Buffer.concat([raw.message('f'), raw.message('d'), raw.message('f', body('x'))]))
    pump.feed(raw.message('f'))
    expect(pump.headers).toEqual(['f:0', 'd:0'])
    expect(pump.passed).toEqual(raw.message('f'))
  })

  test('without an output the count goes on and nothing is written', () => {
    const pump = new TestPump()
    const { output } = pump
    pump.output = null
    pump.feed(raw.message('f', body('lost')).subarray(0, 7))
    pump.feed(raw.message('f', body('lost')).subarray(7))
    pump.output = output
    pump.feed(raw.message('f', body('kept')))
    expect(pump.passed).toEqual(raw.message('f', body('kept')))
    expect(pump.headers).toEqual(['f:4', 'f:4'])
  })
})

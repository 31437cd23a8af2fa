// Verdicts collect and rewrite, bytes put in front of a message, and bytes put behind one.
import { describe, expect, test } from 'vitest'
import { Pump } from '../../../pooler/relay/pump.ts'
import type { Transport } from '../../../pooler/relay/transport.ts'
import { collect, drop, forward, rewrite, type Verdict } from '../../../pooler/relay/verdicts.ts'
import * as raw from '../../support/raw-messages.ts'
import { SeededRandom } from '../../support/seeded-random.ts'
import { cutSegments, oneByteEach, randomPieces, splitAt } from '../../support/segments.ts'

const front = Buffer.from('[front]')
const behind = Buffer.from('[behind]')
const header = 5

/**
 * By letter: `c` is collected whole and forwarded, `g` collected whole and dropped, `r` gets another
 * name (up to its NUL, which is waited for), `p` has bytes put in front, `i` bytes put behind.
 */
class TestPump extends Pump {
  readonly headers: string[] = []
  readonly written: Buffer[] = []
  #insertsBehind = false

  constructor() {
    super()
    this.output = { write: (chunk: Buffer) => this.written.push(chunk) > 0 } as unknown as Transport
  }

  get passed(): string {
    return Buffer.concat(this.written).toString('latin1')
  }

  protected override get isStopped(): boolean {
    return false
  }

  protected override get mayInsert(): boolean {
    return this.#insertsBehind
  }

  protected override insert(): void {
    this.#insertsBehind = false
    this.output?.write(behind)
  }

  protected override onHeader(type: number, bytes: number, chunk: Buffer, at: number): Verdict {
    const letter = String.fromCharCode(type)
    if ('cg'.includes(letter) && chunk.length - at < bytes) {
      this.need(header + bytes)
      return collect
    }
    if (letter === 'r' && chunk.indexOf(0, at) === -1) {
      this.need(header + chunk.length - at + 1)
      return collect
    }
    this.headers.push(`${letter}:${bytes}`)
    if (letter === 'g') return drop
    if (letter === 'r') return this.#rename(bytes, chunk, at)
    if (letter === 'p') {
      this.passSoFar()
      this.output?.write(front)
    }
    if (letter === 'i') this.#insertsBehind = true
    return forward
  }

  protected override onBadLength(): void {}
  protected override onBody(): void {}

  #rename(bytes: number, chunk: Buffer, at: number): Verdict {
    const taken = chunk.indexOf(0, at) + 1 - at
    const body = Buffer.concat([Buffer.from('renamed\0'), Buffer.alloc(bytes - taken)])
    this.replace(raw.message('r', body).subarray(0, header + 'renamed\0'.length), taken)
    return rewrite
  }
}

const messages: Record<string, [sent: Buffer, passed: Buffer]> = {
  f: [raw.message('f', Buffer.from('one')), raw.message('f', Buffer.from('one'))],
  c: [raw.message('c', Buffer.from('collected')), raw.message('c', Buffer.from('collected'))],
  g: [raw.message('g', Buffer.from('gone')), Buffer.alloc(0)],
  r: [
    raw.message('r', Buffer.from('old\0rest of it')),
    raw.message('r', Buffer.from('renamed\0rest of it')),
  ],
  p: [
    raw.message('p', Buffer.from('x')),
    Buffer.concat([front, raw.message('p', Buffer.from('x'))]),
  ],
  i: [
    raw.message('i', Buffer.from('seen')),
    Buffer.concat([raw.message('i', Buffer.from('seen')), behind]),
  ],
}
const sentOf = (letters: string) =>
  Buffer.concat([...letters].map((letter) => (messages[letter] as [Buffer, Buffer])[0]))
const passedOf = (letters: string) =>
  Buffer.concat([...letters].map((letter) => (messages[letter] as [Buffer, Buffer])[1])).toString(
    'latin1',
  )

function expectPassed(letters: string, chunks: readonly Buffer[], how: string): void {
  const pump = new TestPump()
  for (const chunk of chunks) expect(pump.feed(chunk), how).toBe(null)
  expect(pump.passed, how).toBe(passedOf(letters))
  expect(pump.headers.length, how).toBe(letters.length)
  expect(pump.isEmpty && pump.isAtBoundary, how).toBe(true)
}

describe('messages that are looked into, changed, or joined by ours', () => {
  test.each(['frf', 'ffcf', 'fgrcf', 'fpfip', 'iigi', 'rrpri'])(
    '%s goes through whole, byte by byte, and split at any two offsets',
    (letters) => {
      const bytes = sentOf(letters)
      expectPassed(letters, [bytes], 'whole')
      expectPassed(letters, cutSegments(bytes, oneByteEach), 'bytes')
      for (let one = 1; one < bytes.length; one += 1) {
        for (let other = one; other < bytes.length; other += 1) {
          const chunks = cutSegments(bytes, splitAt(one, other))
          expectPassed(letters, chunks, `split at ${one}, ${other}`)
        }
      }
    },
  )

  test('long streams of all kinds go through in random pieces', () => {
    const random = new SeededRandom(11)
    for (let round = 0; round < 100; round += 1) {
      const letters = Array.from({ length: 60 }, () => random.pick([...'fcgrpi'])).join('')
      const chunks = cutSegments(sentOf(letters), randomPieces(random, 70))
      expectPassed(letters, chunks, `round ${round}: ${letters}`)
    }
  })

  test('what is being collected has not been passed, and the chunk it came in is not written to', () => {
    const chunk = Buffer.concat([sentOf('f'), sentOf('c').subarray(0, 8), Buffer.from('')])
    const copy = Buffer.from(chunk)
    const pump = new TestPump()
    pump.feed(chunk)
    expect(pump.passed).toBe(passedOf('f'))
    expect(pump.isAtBoundary).toBe(true)
    expect(pump.isEmpty).toBe(false)
    pump.feed(sentOf('c').subarray(8, 10))
    pump.feed(sentOf('c').subarray(10))
    expect(chunk).toEqual(copy)
    expect(pump.passed).toBe(passedOf('fc'))
  })

  test('what is put behind a message comes when its last byte does, not with the next message', () => {
    const pump = new TestPump()
    const bytes = sentOf('i')
    pump.feed(bytes.subarray(0, bytes.length - 1))
    expect(pump.passed).not.toContain(behind.toString())
    pump.feed(bytes.subarray(bytes.length - 1))
    expect(pump.passed).toBe(passedOf('i'))
  })
})

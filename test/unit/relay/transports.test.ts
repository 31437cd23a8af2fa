import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HandleTransport, openHandleTransport } from '../../../pooler/relay/handle-transport.ts'
import { kept, sharedMemory } from '../../../pooler/relay/read-memory.ts'
import { openStreamTransport } from '../../../pooler/relay/stream-transport.ts'
import {
  closeTransport,
  type OpenTransport,
  sendQueueBytesMax,
  type Transport,
  type TransportReader,
} from '../../../pooler/relay/transport.ts'
import { systemClock } from '../../../shared/clock.ts'
import { eventually } from '../../support/eventually.ts'
import { whyNot } from '../../support/fast-io.ts'

class Reader implements TransportReader {
  readonly transport: Transport
  readonly chunks: Buffer[] = []
  readonly faults: unknown[] = []
  drains = 0
  closes = 0
  cause: Error | null = null
  onData: ((chunk: Buffer) => void) | null = null

  constructor(socket: Socket, open: OpenTransport) {
    this.transport = open(socket, this)
  }

  get bytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0)
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  onTransportData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk))
    this.onData?.(chunk)
  }

  onTransportDrain(): void {
    this.drains++
  }

  onTransportClosed(cause: Error | null): void {
    this.closes++
    this.cause = cause
  }

  onTransportFault(error: unknown): void {
    this.faults.push(error)
  }
}

let server: Server
let sockets: Socket[] = []

beforeEach(async () => {
  server = createServer({ noDelay: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterEach(() => {
  for (const socket of sockets) socket.destroy()
  sockets = []
  server.close()
})

async function pair(): Promise<[Socket, Socket]> {
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  near.on('error', () => {})
  await new Promise((resolve) => near.once('connect', resolve))
  const far = await accepted
  sockets.push(near, far)
  return [near, far]
}

const patternOf = (bytes: number, seed: number): Buffer => {
  const pattern = Buffer.allocUnsafe(bytes)
  for (let at = 0; at < bytes; at++) pattern[at] = (at * 31 + seed + (at >> 8)) & 0xff
  return pattern
}

test('this Node passes the self-test', () => {
  if (process.env.TEST_FAST_IO !== 'off') expect(whyNot).toBeNull()
})

describe.each([
  ['streams', openStreamTransport],
  ['handle', openHandleTransport],
] as const)('%s', (name, open) => {
  test('bytes of all sizes arrive as they were written, though the writer reuses its memory', async () => {
    const [near, far] = await pair()
    const relayed = new Reader(near, open)
    const reader = new Reader(far, open)
    expect(relayed.transport instanceof HandleTransport).toBe(name === 'handle')
    const sizes = [1, 5, 100, 4096, 4097, 16_383, 16_384, 65_536, 70_000, 3, 200_000, 1]
    const parts = sizes.map((bytes, index) => patternOf(bytes, index))
    for (const part of parts) relayed.transport.write(part)
    const expected = Buffer.concat(parts)
    await eventually(() => expect(reader.bytes).toBe(expected.length))
    expect(Buffer.concat(reader.chunks).equals(expected)).toBe(true)
  })

  test('what is passed on from one socket to another is right when the other is slow', async () => {
    const [source, middleIn] = await pair()
    const [middleOut, sink] = await pair()
    const output = new Reader(middleOut, open)
    const input = new Reader(middleIn, open)
    input.onData = (chunk) => {
      if (!output.transport.write(chunk)) input.transport.pause()
    }
    output.onTransportDrain = () => input.transport.resume()
    const bulk = patternOf(8 * 1024 * 1024, 7)
    source.write(bulk)
    await eventually(() => expect(output.transport.isBlocked).toBe(true))
    expect(output.transport.untakenBytes).toBeGreaterThan(0)
    expect(input.transport.isReading).toBe(false)
    expect(input.bytes).toBeLessThan(bulk.length)
    const chunks: Buffer[] = []
    let bytes = 0
    sink.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
    })
    await eventually(() => expect(bytes).toBe(bulk.length))
    expect(Buffer.concat(chunks).equals(bulk)).toBe(true)
  })

  test('small pieces to one who does not read are queued, bounded by what write says, and arrive', async () => {
    const [near, far] = await pair()
    const writer = new Reader(near, open)
    far.pause()
    let written = 0
    while (writer.transport.write(patternOf(1000, written))) written++
    written++
    expect(writer.transport.untakenBytes).toBeLessThan(sendQueueBytesMax + 2000)
    const chunks: Buffer[] = []
    far.on('data', (chunk: Buffer) => chunks.push(chunk)).resume()
    await eventually(() => expect(writer.drains).toBe(1))
    const expected = Buffer.concat(
      Array.from({ length: written }, (_, seed) => patternOf(1000, seed)),
    )
    await eventually(() => expect(Buffer.concat(chunks).length).toBe(expected.length))
    expect(Buffer.concat(chunks).equals(expected)).toBe(true)
    expect(writer.transport.isBlocked).toBe(false)
  })

  test('what is written in one turn, to several and in turns, keeps its order', async () => {
    const [near, far] = await pair()
    const [otherNear, otherFar] = await pair()
    const [first, second] = [new Reader(near, open), new Reader(otherNear, open)]
    const [firstFar, secondFar] = [new Reader(far, open), new Reader(otherFar, open)]
    first.onData = () => {
      for (const text of ['a', 'b', 'c']) {
        first.transport.write(Buffer.from(text))
        second.transport.write(Buffer.from(text.toUpperCase()))
      }
    }
    firstFar.transport.write(Buffer.from('go'))
    await eventually(() => expect(firstFar.text + secondFar.text).toBe('abcABC'))
  })

  test('a paused transport reads nothing until it is resumed', async () => {
    const [near, far] = await pair()
    const reader = new Reader(near, open)
    reader.transport.pause()
    await new Promise((resolve) => setImmediate(resolve))
    far.write('later')
    await new Promise((resolve) => far.write('', resolve))
    await new Promise((resolve) => setImmediate(resolve))
    expect(reader.bytes).toBeLessThanOrEqual(5)
    reader.transport.resume()
    await eventually(() => expect(reader.text).toBe('later'))
  })

  test('last words arrive before the end, and what still comes is read', async () => {
    const [near, far] = await pair()
    const reader = new Reader(near, open)
    const chunks: Buffer[] = []
    let hasEnded = false
    far
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        hasEnded = true
      })
    closeTransport(reader.transport, Buffer.from('last words'), true, systemClock)
    await eventually(() => expect(hasEnded).toBe(true))
    expect(Buffer.concat(chunks).toString()).toBe('last words')
    await eventually(() => expect(reader.closes).toBe(1))
    expect(reader.cause).toBeNull()
    expect(reader.transport.isOpen).toBe(false)
  })

  test('the end of the other side is told once, behind its last bytes', async () => {
    const [near, far] = await pair()
    const reader = new Reader(near, open)
    far.end('all of it')
    await eventually(() => expect(reader.closes).toBe(1))
    expect(reader.text).toBe('all of it')
    expect(reader.cause).toBeNull()
  })

  test('a reset is told with its cause', async () => {
    const [near, far] = await pair()
    const reader = new Reader(near, open)
    far.resetAndDestroy()
    await eventually(() => expect(reader.closes).toBe(1))
    expect(reader.cause).toMatchObject({ code: 'ECONNRESET' })
  })

  test('a write to one who is gone ends the transport and throws nothing', async () => {
    const [near, far] = await pair()
    const reader = new Reader(near, open)
    reader.transport.pause()
    far.resetAndDestroy()
    await eventually(() => {
      reader.transport.write(Buffer.from('anybody?'))
      expect(reader.closes).toBe(1)
    })
    expect((reader.cause as NodeJS.ErrnoException).code).toMatch(/^(EPIPE|ECONNRESET)$/)
    expect(reader.transport.write(Buffer.from('still?'))).toBe(true)
    expect(reader.transport.untakenBytes).toBe(0)
  })

  test('a transport that is destroyed while it tells of data tells of nothing more', async () => {
    const [near, far] = await pair()
    const reader = new Reader(near, open)
    reader.onData = () => {
      reader.transport.write(Buffer.from('farewell'))
      reader.transport.destroy()
    }
    const far2 = new Reader(far, open)
    far2.transport.write(Buffer.from('one'))
    await eventually(() => expect(far2.closes).toBe(1))
    expect(far2.text).toBe('farewell')
    await eventually(() => expect(reader.closes).toBe(1))
    expect(reader.chunks).toHaveLength(1)
  })

  test('a fault of the reader is told to it, and what it wrote before goes out', async () => {
    const [near, far] = await pair()
    const reader = new Reader(near, open)
    reader.onData = () => {
      reader.transport.write(Buffer.from('so far'))
      throw new Error('a fault')
    }
    const other = new Reader(far, open)
    other.transport.write(Buffer.from('one'))
    await eventually(() => expect(other.text).toBe('so far'))
    expect(reader.faults).toHaveLength(1)
  })

  test('bytes that came before the take-over are read first', async () => {
    const [near, far] = await pair()
    near.unshift(Buffer.from('early '))
    const reader = new Reader(near, open)
    far.write('late')
    await eventually(() => expect(reader.text).toBe('early late'))
  })
})

test('what is kept of a read outlives the reads of others; what is not kept does not', async () => {
  const [near, far] = await pair()
  const reader = new Reader(near, openHandleTransport)
  let keptBytes: Buffer | null = null
  let lentBytes: Buffer | null = null
  reader.onData = (chunk) => {
    keptBytes ??= kept(chunk)
    lentBytes ??= chunk
  }
  far.write('first')
  await eventually(() => expect(reader.text).toBe('first'))
  sharedMemory.fill('x', 0, 5)
  expect(String(keptBytes)).toBe('first')
  expect(String(lentBytes)).toBe('xxxxx')
})

test('what the other end said before it hung up is read, though a write has failed meanwhile', async () => {
  const [near, far] = await pair()
  const reader = new Reader(near, openHandleTransport)
  reader.transport.pause()
  await new Promise((resolve) => far.write('last words', resolve))
  far.resetAndDestroy()
  await new Promise((resolve) => setImmediate(resolve))
  reader.transport.resume()
  reader.transport.write(Buffer.from('more work'))
  expect(reader.transport.isOpen).toBe(false)
  await eventually(() => expect(reader.closes).toBe(1))
  expect(reader.text).toBe('last words')
})

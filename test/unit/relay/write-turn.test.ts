import { setImmediate as nextRound } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Lane } from '../../../pooler/relay/lanes.ts'
import type { TransportReader } from '../../../pooler/relay/transport.ts'
import { flushAtTurnEnd, isTurnOpen, tellData } from '../../../pooler/relay/write-turn.ts'

const nothing = Buffer.alloc(0)

class CountedWriter {
  flushes = 0
  destroyedBy: Error | null = null
  readonly #fault: Error | null

  constructor(fault: Error | null = null) {
    this.#fault = fault
  }

  flush(): void {
    this.flushes++
    if (this.#fault !== null) throw this.#fault
  }

  destroy(cause: Error): void {
    this.destroyedBy = cause
  }
}

/** Writes to `writer` when it is told of data. */
const readerFor = (writer: CountedWriter, lane?: Lane): TransportReader => ({
  lane,
  onTransportData() {
    expect(isTurnOpen()).toBe(true)
    flushAtTurnEnd(writer)
  },
  onTransportDrain() {},
  onTransportClosed() {},
  onTransportFault(error) {
    throw error
  },
})

test('what is written while several are read leaves when all have been read', async () => {
  const writers = [new CountedWriter(), new CountedWriter()]
  for (const writer of writers) tellData(readerFor(writer), nothing)
  expect(isTurnOpen()).toBe(false)
  expect(writers.map(({ flushes }) => flushes)).toEqual([0, 0])
  await nextRound()
  expect(writers.map(({ flushes }) => flushes)).toEqual([1, 1])
})

test('the replies of sixteen do not wait for whoever is read behind them', async () => {
  const writers = Array.from({ length: 17 }, () => new CountedWriter())
  for (const writer of writers) tellData(readerFor(writer), nothing)
  expect(writers.filter(({ flushes }) => flushes === 1)).toHaveLength(16)
  await nextRound()
  expect(writers.every(({ flushes }) => flushes === 1)).toBe(true)
})

test('a writer that throws is destroyed, and the others have theirs', async () => {
  const fault = new Error('of the first')
  const writers = [new CountedWriter(fault), new CountedWriter()]
  for (const writer of writers) tellData(readerFor(writer), nothing)
  await nextRound()
  expect(writers[0]?.destroyedBy).toBe(fault)
  expect(writers[1]?.flushes).toBe(1)
})

test('what a quiet lane writes beside a busy one leaves at once, and the busy one waits', async () => {
  const lanes = { busy: new Lane(), quiet: new Lane() }
  const writers = { busy: new CountedWriter(), quiet: new CountedWriter() }
  const tell = (name: keyof typeof lanes) =>
    tellData(readerFor(writers[name], lanes[name]), nothing)
  const flushes = () => [writers.busy.flushes, writers.quiet.flushes]
  // Each has shown itself, and their rounds are over.
  for (const name of ['busy', 'quiet'] as const) {
    tell(name)
    await nextRound()
  }
  expect(flushes()).toEqual([1, 1])
  tell('busy')
  tell('quiet')
  expect(flushes()).toEqual([1, 2])
  // Its second turn is one like others.
  tell('quiet')
  expect(flushes()).toEqual([1, 2])
  await nextRound()
  expect(flushes()).toEqual([2, 3])
})

test('nor does a fault in its writing reach the busy one', async () => {
  const fault = new Error('of the quiet one')
  const writers = [new CountedWriter(), new CountedWriter(fault)] as const
  for (const writer of writers) tellData(readerFor(writer, new Lane()), nothing)
  expect(writers[1].destroyedBy).toBe(fault)
  expect(writers[0].flushes).toBe(0)
  await nextRound()
  expect(writers[0].flushes).toBe(1)
})

import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Lane } from '../../../pooler/relay/lanes.ts'
import type { TransportReader } from '../../../pooler/relay/transport.ts'
import { tellClosed, tellData } from '../../../pooler/relay/write-turn.ts'
import { eventually } from '../../support/eventually.ts'

/** Notes in `told` what it is told, in one list with others. */
class Noting implements TransportReader {
  late: Buffer | null = null
  readonly lane: Lane | undefined
  readonly #name: string
  readonly #told: string[]

  constructor(name: string, told: string[], lane?: Lane) {
    this.#name = name
    this.#told = told
    this.lane = lane
  }

  onTransportData(chunk: Buffer): void {
    this.#told.push(`${this.#name} ${chunk.length > 100 ? chunk.length : chunk}`)
    if (`${chunk}` === 'bug') throw new Error('bug')
  }
  onTransportDrain(): void {}
  onTransportClosed(): void {
    this.#told.push(`${this.#name} closed`)
  }
  onTransportFault(): void {
    this.#told.push(`${this.#name} fault`)
  }
}

const tell = (reader: Noting, text: string): void => tellData(reader, Buffer.from(text))

/** Many of one lane, all with something to say at once. */
function crowd(told: string[], count = 40): Noting[] {
  const lane = new Lane()
  return Array.from({ length: count }, (_, number) => new Noting(`busy${number}`, told, lane))
}

// The first of all: the module has seen no lane yet.
test('nothing is kept for the only lane that there has ever been', () => {
  const told: string[] = []
  const busy = crowd(told)
  for (const reader of busy) tell(reader, 'a')
  expect(told).toEqual(busy.map((_, number) => `busy${number} a`))
})

test('a quiet lane has its turn before most of a busy one that was there first', async () => {
  const told: string[] = []
  const busy = crowd(told)
  const quiet = new Noting('quiet', told, new Lane())
  tell(quiet, '0')
  told.length = 0
  for (const reader of busy) tell(reader, 'a')
  tell(quiet, 'a')
  expect(told.indexOf('quiet a')).toBe(4)
  // In the next look of the event loop as well, while the busy one still has much to do.
  await nextTurn()
  expect(told.length).toBeLessThan(busy.length)
  tell(quiet, 'b')
  expect(told.at(-1)).toBe('quiet b')
  await eventually(() => expect(told).toHaveLength(busy.length + 2))
  expect(told.filter((line) => line.startsWith('busy'))).toEqual(
    busy.map((_, number) => `busy${number} a`),
  )
})

test('busy lanes take turns', async () => {
  const told: string[] = []
  const [one, other] = [crowd(told), crowd(told)]
  for (const reader of [...one, ...other]) tell(reader, 'a')
  await eventually(() => expect(told).toHaveLength(80))
  const atOnce = 8
  for (let at = atOnce; at < told.length; at += 2) {
    // The same place of both lanes: neither gets ahead of the other.
    expect(told[at]).toBe(told[at + 1])
  }
})

test('what comes for a reader that waits is told behind what waits', async () => {
  const told: string[] = []
  const busy = crowd(told)
  for (const text of ['a', 'b', 'c', 'd']) for (const reader of busy) tell(reader, text)
  await eventually(() => expect(told).toHaveLength(160))
  for (const number of busy.keys()) {
    const own = told.filter((line) => line.startsWith(`busy${number} `))
    expect(own.map((line) => line.split(' ')[1])).toEqual(['a', 'b', 'c', 'd'])
  }
})

test('a connection that closed is told what came before', async () => {
  const told: string[] = []
  const busy = crowd(told)
  for (const reader of busy) tell(reader, 'a')
  for (const reader of busy) tellClosed(reader, null)
  expect(told.slice(-2)).toEqual(['busy39 a', 'busy39 closed'])
  await nextTurn()
  await nextTurn()
  expect(told).toHaveLength(80)
})

test('memory that is read into again does no harm to what waits', async () => {
  const told: string[] = []
  const memory = Buffer.from('a')
  const busy = crowd(told)
  for (const reader of busy) tellData(reader, memory)
  memory.fill('x')
  await eventually(() => expect(told).toHaveLength(40))
  expect(told.every((line) => line.endsWith(' a'))).toBe(true)
})

test('bulk data does not wait, nor does a reader without a lane', () => {
  const told: string[] = []
  const busy = crowd(told)
  for (const reader of busy) tellData(reader, Buffer.alloc(5000))
  expect(told).toHaveLength(40)
  const free = new Noting('free', told)
  for (let turn = 0; turn < 40; turn++) tell(free, 'a')
  expect(told).toHaveLength(80)
})

test('a fault in a late turn is its own reader’s alone', async () => {
  const told: string[] = []
  const busy = crowd(told)
  for (const reader of busy) tell(reader, reader === busy[20] ? 'bug' : 'a')
  await eventually(() => expect(told).toHaveLength(41))
  expect(told).toContain('busy20 fault')
  expect(told).toContain('busy39 a')
})

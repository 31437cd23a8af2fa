import { beforeEach, expect, test } from 'vitest'
import { Exchange } from '../../../pooler/workers/exchange.ts'
import type { Answers, Call } from '../../../pooler/workers/worker-messages.ts'
import { ManualClock } from '../../support/manual-clock.ts'

let clock: ManualClock
let exchange: Exchange
let sent: { readonly worker: number; readonly id: number }[]
beforeEach(() => {
  clock = new ManualClock()
  sent = []
  exchange = new Exchange({
    clock,
    workers: () => [1, 2, 3],
    send: (worker, message) => {
      if (message.kind === 'call') sent.push({ worker, id: message.id ?? 0 })
    },
  })
})

const call = (withinMs: number | null): Call => ({ name: 'cancel', asked: null, withinMs })
const well = { answer: 'well', fault: null }

function ask(from: number, withinMs: number | null = 2000): { answers: Answers | null } {
  const told: { answers: Answers | null } = { answers: null }
  exchange.ask(from, call(withinMs), (answers) => {
    told.answers = answers
  })
  return told
}

test('all others are asked, and the asker is told when the last has answered', () => {
  const told = ask(1)
  expect(sent.map(({ worker }) => worker)).toEqual([2, 3])
  for (const { worker, id } of sent) {
    expect(told.answers).toBeNull()
    exchange.onAnswer(worker, id, well)
  }
  expect(told.answers).toEqual({ all: [2, 3].map((worker) => ({ ...well, worker })), missing: 0 })
  expect(clock.timerCount).toBe(0)
})

test('an answer counts once, and only from whom it was wanted', () => {
  const told = ask(1)
  const [{ id } = { id: 0 }] = sent
  for (const worker of [1, 2, 2, 4]) exchange.onAnswer(worker, id, well)
  expect(told.answers).toBeNull()
  exchange.onAnswer(3, id, well)
  exchange.onAnswer(3, id, well)
  expect(told.answers?.all.length).toBe(2)
})

test('nobody waits for longer than a cancel may take, whatever time was asked for', () => {
  const told = ask(1, 1e12)
  clock.advance(19_999)
  expect(told.answers).toBeNull()
  clock.advance(1)
  expect(told.answers).toEqual({ all: [], missing: 2 })
})

test('a worker that asks without end takes no turn from the others', () => {
  for (let count = 0; count < 1000; count++) ask(1)
  expect(ask(1).answers).toEqual({ all: [], missing: 2 })
  expect(sent.length).toBe(2000)
  expect(ask(2).answers).toBeNull()
  clock.advance(2000)
  expect(ask(1).answers).toBeNull()
})

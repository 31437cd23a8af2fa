import { expect, test } from 'vitest'
import type { ToPrimary } from '../../../pooler/workers/worker-messages.ts'
import { isCallName, readWorkerWords, WorkerFault } from '../../../pooler/workers/worker-words.ts'

const target = { tenantRef: 'shop', role: null, database: null }
const counts = { seq: 1, wants: 1, granted: 0, given: 0, isBusy: false, isLast: false }
const ports = { transaction: 6543, session: 5432, apiUrl: 'http://[::1]:8080' }

/** One at least of each kind. */
const words: readonly ToPrimary[] = [
  { kind: 'hello', version: '1.0.0' },
  { kind: 'ready', ports },
  { kind: 'failed', text: 'the port is taken' },
  { kind: 'permits', report: { id: 1, key: 'k', limit: null, waitedMs: null, ...counts } },
  { kind: 'permits', report: { id: 1, key: 'k', limit: 5, waitedMs: 0.25, ...counts } },
  { kind: 'call', id: null, call: { name: 'wrong', asked: { ref: null }, withinMs: null } },
  { kind: 'call', id: 9, call: { name: 'reload', asked: null, withinMs: 2000 } },
  { kind: 'hold', id: 1, change: { kind: 'pause', target, orIs: true } },
  { kind: 'hold', id: 1, change: { kind: 'resume', target } },
  { kind: 'hold', id: 1, change: { kind: 'disable', ref: 'shop' } },
  { kind: 'answer', id: 1, answer: { answer: null, fault: null } },
  { kind: 'answer', id: 1, answer: { answer: [1, { two: 3 }], fault: 'it was hard' } },
  { kind: 'shutdown', how: 'wait for clients' },
]

test.each(words.map((one) => [JSON.stringify(one), one]))('%s is understood', (text, one) => {
  expect(readWorkerWords(JSON.parse(text as string))).toEqual(one)
})

test('fields that are not known are left out, words of a kind that is not known are nothing', () => {
  const [greeting] = words
  expect(readWorkerWords({ ...greeting, mood: 'good' })).toEqual(greeting)
  expect(readWorkerWords({ kind: 'sing' })).toBeNull()
  for (const kind of ['toString', '__proto__', 'constructor']) {
    expect(readWorkerWords({ kind })).toBeNull()
  }
})

const report = { id: 1, key: 'k', limit: null, waitedMs: null, ...counts }
test.each([
  null,
  7,
  'hello',
  [],
  {},
  { kind: null },
  { kind: 'hello' },
  { kind: 'ready', ports: { ...ports, transaction: 65_536 } },
  { kind: 'ready', ports: { ...ports, apiUrl: 'nowhere' } },
  { kind: 'failed' },
  { kind: 'permits' },
  { kind: 'permits', report: { ...report, id: 0 } },
  { kind: 'permits', report: { ...report, key: 'k'.repeat(4001) } },
  { kind: 'permits', report: { ...report, limit: -1 } },
  { kind: 'permits', report: { ...report, limit: '5' } },
  { kind: 'permits', report: { ...report, wants: 0.5 } },
  { kind: 'permits', report: { ...report, waitedMs: 'long' } },
  { kind: 'permits', report: { ...report, granted: -1 } },
  { kind: 'permits', report: { ...report, given: null } },
  { kind: 'call', id: 0, call: { name: 'cancel', asked: null, withinMs: null } },
  { kind: 'call', id: 1, call: { name: 7, asked: null, withinMs: null } },
  { kind: 'call', id: 1, call: { name: 'cancel', asked: null, withinMs: -1 } },
  { kind: 'hold', id: 1, change: { kind: 'pause', target: { ...target, role: 7 } } },
  { kind: 'hold', id: 1, change: { kind: 'disable', ref: 'r'.repeat(256) } },
  { kind: 'hold', id: null, change: { kind: 'resume', target } },
  { kind: 'answer', id: 1, answer: null },
  { kind: 'answer', id: 1, answer: { answer: null, fault: 7 } },
  { kind: 'shutdown', how: null },
])('%j is a fault', (said) => {
  expect(() => readWorkerWords(said)).toThrow(WorkerFault)
})

test('what is held back is the primary’s to tell', () => {
  expect(isCallName('held')).toBe(false)
  expect(isCallName('cancel')).toBe(true)
})

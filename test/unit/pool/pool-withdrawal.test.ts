import { expect, test } from 'vitest'
import type { Refusal, ServerWaiter } from '../../../pooler/relay/server-source.ts'
import { nextClientId } from '../../../shared/ids.ts'
import { makePool } from '../../support/make-pool.ts'

/** In its line there is room for nobody. */
const fullPool = () => makePool({ waitersMax: 0 })

function waiterOf(refusals: Refusal[]): ServerWaiter {
  return {
    clientId: nextClientId(),
    person: null,
    asides: null,
    onServer() {},
    onNoServer: (refusal) => void refusals.push(refusal),
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

test('a waiter that is refused at once hears of it once', async () => {
  const refusals: Refusal[] = []
  expect(fullPool().checkout(waiterOf(refusals))).toBeNull()
  expect(refusals).toEqual([])
  await nextTurn()
  expect(refusals).toHaveLength(1)
})

test('a waiter that withdraws before it is refused hears nothing', async () => {
  const refusals: Refusal[] = []
  const pool = fullPool()
  const waiter = waiterOf(refusals)
  pool.checkout(waiter)
  pool.withdraw(waiter)
  await nextTurn()
  expect(refusals).toEqual([])
})

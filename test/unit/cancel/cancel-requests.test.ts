import { beforeEach, expect, test } from 'vitest'
import { CancelKeys } from '../../../pooler/cancel/cancel-keys.ts'
import { CancelRequests } from '../../../pooler/cancel/cancel-requests.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const wrongKey = Buffer.from('wrong')
let clock: ManualClock
let keys: CancelKeys
let asked: number
let cancelled: number
beforeEach(() => {
  clock = new ManualClock()
  keys = new CancelKeys()
  asked = 0
  cancelled = 0
})

/** `knows`: what other processes say of a key that is not known here. */
const requests = (knows: () => Promise<boolean> = async () => false) =>
  new CancelRequests(keys, clock, async () => {
    asked++
    return await knows()
  })
const client = () => keys.issue({ cancel: async () => void cancelled++ }, false)

test('wrong keys of one source are bounded in each second, and others are not', async () => {
  const some = requests()
  for (let turn = 0; turn < 150; turn++) await some.handle(1, wrongKey, 'a')
  expect(asked).toBe(100)
  await some.handle(1, wrongKey, 'b')
  expect(asked).toBe(101)
  clock.advance(1000)
  await some.handle(1, wrongKey, 'a')
  expect(asked).toBe(102)
})

test('right keys do not count, be they known here or elsewhere, and pass where wrong ones do not', async () => {
  const { processId, secret } = client()
  let isKnown = true
  const some = requests(async () => isKnown)
  for (let turn = 0; turn < 150; turn++) {
    await some.handle(processId, secret, 'a')
    await some.handle(1, wrongKey, 'a')
  }
  expect({ asked, cancelled }).toEqual({ asked: 150, cancelled: 150 })
  isKnown = false
  for (let turn = 0; turn < 150; turn++) await some.handle(1, wrongKey, 'a')
  expect(asked).toBe(250)
  await some.handle(processId, secret, 'a')
  expect(cancelled).toBe(151)
})

test('those that others are still asked for are bounded too', async () => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const some = requests(() => promise)
  const all = Array.from({ length: 1500 }, () => some.handle(1, wrongKey, 'a'))
  expect(asked).toBe(1000)
  resolve(true)
  await Promise.all(all)
  await some.handle(1, wrongKey, 'a')
  expect(asked).toBe(1001)
})

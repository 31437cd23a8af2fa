import { expect, test } from 'vitest'
import { LookUpCache } from '../../../pooler/store/look-up-cache.ts'
import { ManualClock } from '../../support/manual-clock.ts'

/** A store whose answers come when the test says so. */
function setup(ttlMs = 1000, entriesMax = 3) {
  const clock = new ManualClock()
  const asked: { key: string; answer(value: string): void; fail(): void }[] = []
  const cache = new LookUpCache<string>({
    entriesMax,
    clock,
    ttlMsOf: () => ttlMs,
  })
  const find = (key: string) =>
    cache.find(
      key,
      () =>
        new Promise<string>((resolve, reject) => {
          asked.push({ key, answer: resolve, fail: () => reject(new Error('down')) })
        }),
    )
  return { clock, asked, cache, find }
}

test('many who ask for one thing at once cost one look-up', async () => {
  const { asked, find } = setup()
  const finds = [find('a'), find('a'), find('a')]
  expect(asked).toHaveLength(1)
  asked[0]?.answer('one')
  expect(await Promise.all(finds)).toEqual(['one', 'one', 'one'])
})

test('an answer is used until its time is over, and not at that instant', async () => {
  const { clock, asked, find } = setup(1000)
  const first = find('a')
  asked[0]?.answer('one')
  await first
  clock.advance(999)
  expect(await find('a')).toBe('one')
  expect(asked).toHaveLength(1)
  clock.advance(1)
  void find('a')
  expect(asked).toHaveLength(2)
})

test('an answer that was asked for before a change is given to nobody who asks after it', async () => {
  for (const forget of ['forget', 'forgetAll', 'forgetWhere'] as const) {
    const { asked, cache, find } = setup()
    const before = find('a')
    if (forget === 'forget') cache.forget('a')
    if (forget === 'forgetAll') cache.forgetAll()
    if (forget === 'forgetWhere') cache.forgetWhere(() => false)
    const after = find('a')
    expect(asked).toHaveLength(2)
    asked[1]?.answer('new')
    expect(await after).toBe('new')
    asked[0]?.answer('old')
    expect(await before).toBe('old')
    expect(await find('a')).toBe('new')
  }
})

test('a failed look-up is not remembered', async () => {
  const { asked, find } = setup()
  const failing = find('a')
  asked[0]?.fail()
  await expect(failing).rejects.toThrow('down')
  const next = find('a')
  asked[1]?.answer('one')
  expect(await next).toBe('one')
})

test('what is used least goes when the cache is full', async () => {
  const { asked, find } = setup(1000, 2)
  for (const key of ['a', 'b', 'a', 'c', 'a', 'c', 'b']) {
    const found = find(key)
    asked.at(-1)?.answer(key)
    await found
  }
  expect(asked.map(({ key }) => key)).toEqual(['a', 'b', 'c', 'b'])
})

test('forgetting some keeps the others', async () => {
  const { asked, cache, find } = setup()
  for (const key of ['a', 'b']) {
    const found = find(key)
    asked.at(-1)?.answer(key)
    await found
  }
  cache.forgetWhere((value) => value === 'a')
  expect(await find('b')).toBe('b')
  expect(asked).toHaveLength(2)
  void find('a')
  expect(asked).toHaveLength(3)
})

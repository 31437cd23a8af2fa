// Workers that have gone wrong: what they say takes neither the primary nor the other workers along.
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { Primary } from '../../pooler/workers/primary.ts'
import { systemClock } from '../../shared/clock.ts'
import { CapturedLog } from '../support/captured-log.ts'
import { eventually } from '../support/eventually.ts'

const program = fileURLToPath(new URL('../support/scripted-worker.ts', import.meta.url))
const wrong = 'a worker has gone wrong and is ended'
const replaced = 'a worker has taken the place of another'

/** What no worker says, and what one may not. */
const words: readonly [string, unknown][] = [
  ['nothing', null],
  ['no object', 'shutdown'],
  ['no kind', { kind: 7 }],
  ['a second greeting', { kind: 'hello', version: 'another' }],
  ['a shutdown in no way', { kind: 'shutdown', how: 'by surprise' }],
  ['a call without a question', { kind: 'call', id: 1 }],
  ['a time that is none', { kind: 'call', id: 1, call: { name: 'cancel', withinMs: 'long' } }],
  ['a hold of nothing', { kind: 'hold', id: 1, change: { kind: 'pause' } }],
  [
    'permits given back that it never had',
    { kind: 'permits', report: { ...newReport(), granted: 9, given: 9 } },
  ],
]

function newReport() {
  const counts = { seq: 1, limit: 4, wants: 0, waitedMs: null, granted: 0, given: 0 }
  return { id: 1, key: 'pool', ...counts, isBusy: false, isLast: false }
}

const primaries: Primary[] = []
afterEach(async () => {
  for (const primary of primaries.splice(0)) await primary.stop()
})

async function start(env: Record<string, string>) {
  const captured = new CapturedLog()
  const nothing = (): void => {}
  const primary = await Primary.start({
    count: 2,
    env,
    program,
    clock: systemClock,
    log: captured.log,
    onShutdown: nothing,
    onSocketsLost: nothing,
  })
  primaries.push(primary)
  return { primary, captured }
}

test.each(words)(
  '%s ends the worker that says it, and another takes its place',
  async (_what, said) => {
    const { primary, captured } = await start({ WORDS: JSON.stringify(said) })
    await eventually(() => expect(captured.with({ msg: wrong }).length).toBeGreaterThan(0))
    await eventually(() =>
      expect(captured.with({ msg: replaced, slot: 1 }).length).toBeGreaterThan(0),
    )
    expect(captured.with({ msg: replaced, slot: 0 })).toEqual([])
    await expect(primary.drain()).resolves.toBeUndefined()
  },
)

test.each([
  ['of a kind that is not known', { kind: 'sing', song: 'a newer one' }],
  [
    'with a question that is not known',
    { kind: 'call', id: 1, call: { name: 'sing', asked: 1, withinMs: 5 } },
  ],
  [
    'with what only the primary tells',
    { kind: 'call', id: 1, call: { name: 'held', asked: 1, withinMs: 5 } },
  ],
])('words %s change nothing, as those of a newer version', async (_what, said) => {
  const { primary, captured } = await start({ WORDS: JSON.stringify(said) })
  // The worker has been heard by then: what it says comes in order.
  await primary.reload()
  expect(captured.with({ msg: wrong })).toEqual([])
  expect(captured.with({ itsVersion: 'another' })).toHaveLength(2)
})

test('a worker that takes nothing of what it is told is ended before that fills memory', async () => {
  const { captured } = await start({ IS_DEAF: 'true', TELLS: '200000' })
  const deaf = 'a worker takes nothing of what it is told and is ended'
  await eventually(() => expect(captured.with({ msg: deaf }).length).toBeGreaterThan(0), {
    timeoutMs: 45_000,
  })
  await eventually(() =>
    expect(captured.with({ msg: replaced, slot: 1 }).length).toBeGreaterThan(0),
  )
})

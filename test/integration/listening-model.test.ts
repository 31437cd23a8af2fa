// Random clients that listen and notify, each beside a twin that does the same on Postgres itself, in
// a database of its own: through Latchkey, on fewer servers than clients, each must be told the same.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { allMoved, hubOf, Listener } from '../support/listeners.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { roundsMsMax, seededRounds } from '../support/seeded-rounds.ts'

const postgres = sharedPostgres()
const twins = uniqueName('twins')
const channels = ['news', 'News', 'a "b" ☃', "it's"]
const clientCount = 5
const rounds = 3
/** Of the pool's three servers, clients in a transaction hold so many at most. */
const openMax = 2

let pooled: PooledPostgres
beforeAll(async () => {
  pooled = await PooledPostgres.start(postgres, { poolSize: 3 })
  await postgres.createDatabase(twins, pooled.role)
})
afterAll(async () => {
  await postgres.dropDatabase(twins)
  await pooled.stop()
})

interface Pair {
  readonly pooled: Listener
  readonly direct: Listener
  isOpen: boolean
  savepoints: number
}

const quoted = (channel: string): string => `"${channel.replaceAll('"', '""')}"`

let sent = 0

/** A statement that both of a pair are to run. */
function statementFor(pair: Pair, random: SeededRandom, openCount: number): string {
  const channel = random.pick(channels)
  const listen = `listen ${quoted(channel)}`
  const notify = `notify ${quoted(channel)}, '${sent++}'`
  const both = [
    listen,
    listen,
    `unlisten ${quoted(channel)}`,
    notify,
    notify,
    notify,
    `select pg_notify('${channel.replaceAll("'", "''")}', '${sent++}')`,
    `do $$begin execute '${listen.replaceAll("'", "''")}'; end$$`,
    `${listen}; ${notify}`,
    'select 1',
    'unlisten *',
  ]
  if (!pair.isOpen) {
    const more = ['discard all', `begin; ${listen}; savepoint s; ${notify}; rollback to s; commit`]
    if (openCount < openMax) more.push('begin', 'begin', 'begin')
    return random.pick([...both, ...more])
  }
  const back = pair.savepoints > 0 ? ['rollback to s', 'release s'] : []
  return random.pick([
    ...both,
    'savepoint s',
    ...back,
    'commit',
    'commit',
    'rollback',
    'select 1/0',
  ])
}

function note(pair: Pair, sql: string): void {
  if (sql === 'begin') pair.isOpen = true
  if (sql === 'savepoint s') pair.savepoints++
  if (sql === 'commit' || sql === 'rollback') {
    pair.isOpen = false
    pair.savepoints = 0
  }
  if (sql === 'release s') pair.savepoints--
}

/** By channel and sender, because the order is kept for each: their own, and those of others. */
function heard(one: Listener, isOwn: boolean): Record<string, string[]> {
  const told = one.told.filter(({ processId }) => (processId === one.processId) === isOwn)
  return Object.fromEntries(
    channels.map((name) => [
      name,
      told.filter(({ channel }) => channel === name).map(({ payload }) => payload),
    ]),
  )
}

async function runBoth(pair: Pair, sql: string, isExtended: boolean): Promise<void> {
  for (const one of [pair.direct, pair.pooled]) {
    if (isExtended) await one.raw.extendedQuery(sql)
    else await one.raw.query(sql)
  }
  const [direct, through] = [await pair.direct.raw.untilReady(), await pair.pooled.raw.untilReady()]
  const isReply = ({ type }: { type: string }) => type !== 'A'
  expect(through.filter(isReply).map(({ type }) => type)).toEqual(
    direct.filter(isReply).map(({ type }) => type),
  )
  // The client's own come before ReadyForQuery, here and there.
  expect(heard(pair.pooled, true)).toEqual(heard(pair.direct, true))
}

const channelsOf = async (one: Listener) =>
  (await one.column('select pg_listening_channels()')).sort()

/** All transactions end, and every pair is told of a last notification on each of its channels. */
async function compare(pairs: readonly Pair[]): Promise<void> {
  for (const pair of pairs) {
    if (pair.isOpen) await runBoth(pair, 'rollback', false)
    pair.isOpen = false
    pair.savepoints = 0
  }
  const last = `last ${sent++}`
  const sql = channels.map((channel) => `notify ${quoted(channel)}, '${last}'`).join(';')
  const told = (one: Listener) => one.payloads.filter((payload) => payload === last).length
  const [first] = pairs as readonly [Pair]
  for (const one of [first.direct, first.pooled]) await one.run(sql)
  for (const pair of pairs) {
    const listened = await channelsOf(pair.direct)
    expect(await channelsOf(pair.pooled)).toEqual(listened)
    await eventually(() => told(pair.direct) === listened.length)
    await eventually(() => told(pair.pooled) === listened.length)
    for (const isOwn of [true, false]) {
      expect(heard(pair.pooled, isOwn)).toEqual(heard(pair.direct, isOwn))
    }
  }
}

async function play(random: SeededRandom, turns: number): Promise<void> {
  const direct = { ...pooled.direct(), database: twins }
  const pairs: Pair[] = []
  const witness = await Listener.start(pooled)
  const notifier = await Listener.connect(pooled.direct())
  await witness.run('listen sync')
  await allMoved(pooled)
  const start = async (): Promise<Pair> => ({
    pooled: await Listener.start(pooled),
    direct: await Listener.connect(direct),
    isOpen: false,
    savepoints: 0,
  })
  try {
    while (pairs.length < clientCount) pairs.push(await start())
    for (let turn = 0; turn < turns; turn++) {
      const pair = random.pick(pairs)
      const openCount = pairs.filter(({ isOpen }) => isOpen).length
      const sql = statementFor(pair, random, openCount)
      await runBoth(pair, sql, !sql.includes('; ') && random.int(2) === 0)
      note(pair, sql)
      // Everything up to here has come in, so that no UNLISTEN overtakes what its client is to be told.
      await notifier.run(`notify sync, '${turn}'`)
      await eventually(() => witness.payloads.at(-1) === `${turn}`)
      if (random.int(15) === 0) await compare(pairs)
      if (random.int(10) === 0 && pairs.every(({ isOpen }) => !isOpen)) await allMoved(pooled)
    }
    await compare(pairs)
  } finally {
    witness.raw.close()
    notifier.raw.close()
    for (const { pooled: one, direct: twin } of pairs) {
      one.raw.close()
      twin.raw.close()
    }
  }
  await eventually(() => hubOf(pooled).clients === 0 && hubOf(pooled).channels === 0)
}

test(
  'random clients are told what Postgres itself would tell them',
  async () => {
    const sums = await seededRounds('listening model', rounds, async (random) => {
      const before = sent
      await play(random, 120)
      return { sent: sent - before }
    })
    expect(sums.sent).toBeGreaterThan(0)
  },
  roundsMsMax(rounds),
)

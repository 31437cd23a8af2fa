// Random clients that change settings, hold what pins them and prepare statements, each beside a twin
// that does the same on Postgres itself in a database alike: on fewer servers than clients, each is
// answered the same, byte for byte, and has the same at the end.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { anySegmentation } from '../support/pipeline-driver.ts'
import { PooledPostgres, type PostgresHome } from '../support/pooled-postgres.ts'
import { identifier, sharedPostgres, uniqueName } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { cstringsOf, describeReply, errorFields } from '../support/raw-replies.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { roundsMsMax, seededRounds } from '../support/seeded-rounds.ts'
import type { Segmentation } from '../support/segments.ts'
import { probes, randomStep, type Step } from '../support/session-twin.ts'

const postgres = sharedPostgres()
const rounds = 3
const steps = 150
/** The model is young: a suite is to fail for what was changed, and a long run to find what was not. */
const usualSeed = 9100
const twins = uniqueName('twins')
const otherRole = uniqueName('other')

let home: PostgresHome
beforeAll(async () => {
  home = await PooledPostgres.makeHome(postgres)
  await postgres.createRole(otherRole, null)
  await postgres.query(`grant ${identifier(otherRole)} to ${identifier(home.role)}`)
  const makeTables = ['one', 'two'].map(
    (name) =>
      `create schema ${name}; create table ${name}.t as select '${name}' as v;
       grant usage on schema ${name} to public; grant select on ${name}.t to public;
       create sequence ${name}.s; grant all on ${name}.s to public;`,
  )
  await postgres.query(makeTables.join(''), undefined, home.database)
  // As a copy it has the same object numbers.
  const copy = `create database ${identifier(twins)} template ${identifier(home.database)}`
  await postgres.query(`${copy} owner ${identifier(home.role)}`)
})
afterAll(async () => {
  await postgres.dropDatabase(twins)
  await PooledPostgres.removeHome(postgres, home)
  await postgres.dropRole(otherRole)
})

interface Pair {
  readonly pooled: RawClient
  readonly direct: RawClient
  readonly segmentation: Segmentation
  readonly hasStartup: boolean
  status: string
  /** It may keep its server beyond its transaction. */
  mayBePinned: boolean
  /** It was told what a sequence gave it in an earlier transaction, and keeps its server since. */
  hasSequence: boolean
  /** Its transaction has had a RESET, or may have. */
  hasGoneBack: boolean
  /** What made its unnamed statement last. */
  unnamed: string
}

const startups: readonly Record<string, string>[] = [
  {},
  {},
  { application_name: 'startup' },
  { options: '-c work_mem=6MB -c search_path=two', TimeZone: 'Asia/Tokyo' },
  { DateStyle: 'German', 'kit.note': 'from the start', client_encoding: 'latin1' },
]

async function startPair(pooled: PooledPostgres, random: SeededRandom): Promise<Pair> {
  const settings = random.pick(startups)
  const segmentation = anySegmentation(random)
  const one = await pooled.login('transaction', { settings, segmentation })
  const options = { ...pooled.direct(), database: twins, settings }
  const direct = await RawClient.connect(options)
  const twin = await direct.login(options)
  expect([...one.login.parameters].sort()).toEqual([...twin.parameters].sort())
  const hasStartup = Object.keys(settings).length > 0
  const start = {
    status: 'I',
    mayBePinned: false,
    hasSequence: false,
    hasGoneBack: false,
    unnamed: '',
  }
  return { pooled: one.client, direct, segmentation, hasStartup, ...start }
}

/**
 * Temporary tables and their schemas have numbers of their own. Of two names for one text an error of
 * a batch that has both may tell the other one.
 */
const seen = ({ type, body }: raw.RawMessage): string =>
  type === 'T'
    ? `T ${columnsOf(body).join()}`
    : `${type} ${body
        .toString('latin1')
        .replace(/pg_temp_\d+/g, 'pg_temp')
        .replace(/statement "n\d"/, 'statement')
        .replace(saidAt, '$1')}`

/**
 * The same words of another line of Postgres' source: what a failed transaction refuses may be a Parse that was
 * put in front, and a COMMIT without transaction behind one is in the implicit transaction of a pipeline.
 */
const saidAt = /(C25P0[12]\0.*)F\w+\.c\0L\d+\0R\w+\0/

/** Several reports in a row come in the order in which that backend's settings were first changed. */
function inOneOrder(told: string, at: number, all: readonly string[]): string {
  if (!isReport(told)) return told
  const from = all.findLastIndex((one, index) => index < at && !isReport(one)) + 1
  const end = all.findIndex((one, index) => index > at && !isReport(one))
  return all.slice(from, end === -1 ? all.length : end).sort()[at - from] as string
}
const isReport = (told: string): boolean => told.startsWith('S ')

/** Name, type, size and format of each column, without the number of its table. */
function columnsOf(body: Buffer): string[] {
  const columns: string[] = []
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at)
    columns.push(`${body.toString('latin1', at, end)} ${body.toString('hex', end + 7, end + 19)}`)
    at = end + 19
  }
  return columns
}

/** null: Postgres itself has ended the session, and so has the pooler. */
async function runBoth(pair: Pair, step: Step): Promise<raw.RawMessage[] | null> {
  const bytes = Buffer.concat(step.messages)
  const readies = step.messages.filter((message) => 'QS'.includes(message.toString('latin1', 0, 1)))
  await pair.direct.send(bytes)
  const wanted = await untilReadiesOrFatal(pair.direct, readies.length)
  await pair.pooled.send(bytes, pair.segmentation)
  if (wanted === null) {
    expect(await untilReadiesOrFatal(pair.pooled, readies.length)).toBe(null)
    return null
  }
  const got = await pair.pooled.untilReadies(readies.length)
  const wasFailed = pair.status === 'E'
  pair.status = wanted.at(-1)?.body.toString() ?? ''
  // In a failed transaction, or without its table, what the server lacks cannot be brought: refused all the same.
  const isRefused = wasFailed || wanted.some(isFailure) || [...got, ...wanted].some(isTableGone)
  const isLoose = step.isNamed && isRefused
  // Startup settings are put back by the next message, and their reports come with it.
  const told = (replies: raw.RawMessage[]) =>
    replies
      .filter(({ type }) => !pair.hasStartup || type !== 'S')
      .filter((reply) => !step.isNamed || !isOutsideOfBlock(reply))
      .map(seen)
      .map(inOneOrder)
  const words = () =>
    `${step.text}\n  got      ${got.map(describeReply).join(' ')}\n  expected ${wanted.map(describeReply).join(' ')}`
  if (told(got).join('\n') === told(wanted).join('\n')) {
    if (step.asksSequence && !got.some(isNotYetGiven)) pair.hasSequence = true
    return wanted
  }
  // What another server gave it, before its first question, is not on this one.
  if (step.asksSequence && !pair.hasSequence && got.some(isNotYetGiven)) return wanted
  // A Parse of what its server has already takes no snapshot, so that a transaction may still be set up behind it.
  const isInTime = step.isNamed && wanted.some(isTooLate) && !got.some(isTooLate)
  if (!isInTime && !(isLoose && got.some(isNotBrought))) throw new Error(words())
  await beginAnew(pair)
  return wanted
}

/** null: the last that it said was FATAL, as for a ROLLBACK and a COMMIT in one batch without transaction (18.4). */
async function untilReadiesOrFatal(client: RawClient, count: number) {
  try {
    return await client.untilReadies(count)
  } catch (error) {
    const last = client.received.at(-1)
    if (last?.type === 'E' && errorFields(last.body).S === 'FATAL') return null
    throw error
  }
}

/** What was refused earlier has skipped more, the end of the transaction perhaps: both begin anew. */
async function beginAnew(pair: Pair): Promise<void> {
  // Sequences may have gone on there, and not here.
  const texts = ['rollback', 'discard all', "select setval('one.s', 1000)", 'discard all']
  for (const client of [pair.direct, pair.pooled]) {
    await client.send(Buffer.concat(texts.map((text) => raw.query(text))))
    const replies = await client.untilReadies(texts.length)
    expect(replies.filter(({ type }) => type === 'E')).toEqual([])
  }
  pair.status = 'I'
  pair.mayBePinned = false
  pair.hasSequence = false
}

const goesBack = /reset|discard|default/i
const isTableGone = ({ type, body }: raw.RawMessage) =>
  type === 'E' && errorFields(body).C === '42P01'
/** Postgres' words where a server could not be brought what it lacks. */
const isNotBrought = ({ type, body }: raw.RawMessage) =>
  type === 'E' && ['25P02', '42P01'].includes(errorFields(body).C ?? '')
/** Not said of a SET LOCAL behind settings that were lent in the same batch. */
const isOutsideOfBlock = ({ type, body }: raw.RawMessage) =>
  type === 'N' && errorFields(body).C === '25P01'
const isTooLate = ({ type, body }: raw.RawMessage) =>
  type === 'E' && errorFields(body).C === '25001'
const isNotYetGiven = ({ type, body }: raw.RawMessage) =>
  type === 'E' && errorFields(body).C === '55000'
const isFailure = ({ type, body }: raw.RawMessage) => type === 'Z' && body.toString() === 'E'

/** The values that it was told last. */
function reportsTo(client: RawClient): Record<string, string> {
  const reports = client.received.filter(({ type }) => type === 'S')
  return Object.fromEntries(reports.map(({ body }) => cstringsOf(body) as [string, string]))
}

const queryStep = (text: string): Step => ({
  messages: [raw.query(text)],
  text,
  mayPin: false,
  isNamed: false,
  asksSequence: false,
})

async function compare(pair: Pair): Promise<void> {
  if (pair.status === 'E') await runBoth(pair, queryStep('rollback'))
  for (const probe of probes) await runBoth(pair, queryStep(probe))
  const [got, wanted] = [reportsTo(pair.pooled), reportsTo(pair.direct)]
  for (const [name, value] of Object.entries(wanted)) {
    if (got[name] !== value) throw new Error(`told ${name}=${got[name]}, not ${value}`)
  }
}

/** Of one who has left they end when its server hears of it, there and here. */
async function untilLocksAreAlike(): Promise<void> {
  const locksIn = (database: string) =>
    postgres.query(
      `select classid, objid, mode from pg_locks where locktype = 'advisory'
       and database = (select oid from pg_database where datname = $1) order by 1, 2, 3`,
      [database],
    )
  await eventually(async () => {
    expect(await locksIn(home.database)).toEqual(await locksIn(twins))
  })
}

async function play(random: SeededRandom): Promise<{ steps: number; pins: number }> {
  const poolSize = 2 + random.int(2)
  const config = { serverPreparedStatementsMax: random.pick([1, 3, 500]) }
  const pooled = await PooledPostgres.start(postgres, { home, poolSize, config })
  const pairs: Pair[] = []
  const isHolder = ({ status, mayBePinned }: Pair) => mayBePinned || status !== 'I'
  let pins = 0
  const told: string[] = []
  const end = (pair: Pair) => {
    pair.pooled.close()
    pair.direct.close()
    pairs.splice(pairs.indexOf(pair), 1)
  }
  try {
    for (let turn = 0; turn < steps; turn++) {
      if (pairs.length < 5) pairs.push(await startPair(pooled, random))
      const index = random.int(pairs.length)
      const pair = pairs[index] as Pair
      const others = pairs.filter((one) => one !== pair && isHolder(one)).length
      if (random.chance(0.02)) {
        end(pair)
        await untilLocksAreAlike()
        continue
      }
      const next = randomStep(random, pair.status, otherRole)
      // One server is left for those who hold none.
      const mayHold = others < poolSize - 1
      if (!mayHold && (next.mayPin || next.isNamed || /begin|savepoint/i.test(next.text))) continue
      // Startup settings come back behind a batch, not within it.
      const texts = `${pair.unnamed} ${next.text}`
      if (pair.hasStartup && next.isNamed && goesBack.test(texts)) continue
      // It has to be first in its transaction, and behind a RESET they come back by a query in front of it.
      const hasGoneBack = goesBack.test(next.text) || (pair.hasGoneBack && pair.status === 'T')
      if (pair.hasStartup && hasGoneBack && /set transaction|isolation level/.test(next.text))
        continue
      told.push(`${turn} c${index} ${next.text}`)
      if ((await runBoth(pair, next)) === null) {
        end(pair)
        await untilLocksAreAlike()
        continue
      }
      if (/(?:^| )P /.test(next.text)) pair.unnamed = next.text
      if (goesBack.test(next.text)) pair.hasGoneBack = true
      if (pair.status === 'I' || /and chain/.test(next.text)) pair.hasGoneBack = false
      if (next.mayPin && !pair.mayBePinned) {
        pair.mayBePinned = true
        pins++
      }
      if (next.text.includes('discard all')) pair.hasSequence = false
      const isDiscarded = next.text.startsWith('Qdiscard all') && next.messages.length === 1
      if (isDiscarded && pair.status === 'I') pair.mayBePinned = false
      if (random.chance(0.1)) await compare(pair)
    }
    for (const pair of pairs) await compare(pair)
    return { steps, pins }
  } catch (error) {
    const last = told.slice(-40).join('\n')
    throw new Error(`${error instanceof Error ? error.message : error}\nafter\n${last}`)
  } finally {
    for (const pair of [...pairs]) end(pair)
    await pooled.stop()
  }
}

test(
  'random clients have the session that Postgres itself would give them',
  async () => {
    const sums = await seededRounds('session model', rounds, play, usualSeed)
    expect(sums.pins).toBeGreaterThan(0)
  },
  roundsMsMax(rounds),
)

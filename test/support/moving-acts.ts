// What clients of a project do while it is changed: one random act after the other, each looked at.
import { sleep, systemClock } from '../../shared/clock.ts'
import { eventually } from './eventually.ts'
import { readTold } from './listeners.ts'
import { type MovingClient, nextNumber, question, type Reply } from './moving-client.ts'
import * as raw from './raw-messages.ts'
import type { SeededRandom } from './seeded-random.ts'

export const channels = ['news', 'weather'] as const

type Act = (client: MovingClient, random: SeededRandom) => Promise<void>

async function ask(client: MovingClient, more?: string): Promise<boolean> {
  const sinceMs = performance.now()
  const number = nextNumber()
  return client.check(await client.ask(question(number, more)), number, sinceMs) !== null
}

export async function askOnce(client: MovingClient): Promise<void> {
  await ask(client)
}

async function long(client: MovingClient, random: SeededRandom): Promise<void> {
  await ask(client, `pg_sleep(${random.int(120) / 1000})`)
}

async function wrong(client: MovingClient): Promise<void> {
  client.expected = '22012'
  const { error } = await client.ask(question('1/0'))
  client.expected = null
  if (error === null) throw new Error('1/0 has a value')
}

async function transaction(client: MovingClient, random: SeededRandom): Promise<void> {
  const sinceMs = performance.now()
  if (!(await client.run('begin'))) return
  for (let left = 1 + random.int(4); left > 0; left--) {
    const number = nextNumber()
    const reply = await client.ask(question(number, `pg_sleep(${random.int(20) / 1000})`))
    if (client.check(reply, number, sinceMs) === null) throw new Error('refused in a transaction')
    await sleep(systemClock, random.int(15))
  }
  if (!(await client.run(random.pick(['commit', 'rollback'])))) throw new Error('did not end')
}

/** Each batch, or query, is a transaction of its own, and any may be at another place. */
async function pipeline(client: MovingClient, random: SeededRandom): Promise<void> {
  const numbers = Array.from({ length: 1 + random.int(8) }, nextNumber)
  const messages = numbers.flatMap((number) =>
    random.chance(0.5)
      ? [raw.query(question(number))]
      : [raw.parse('', question(number)), raw.bind(), raw.execute(), raw.sync()],
  )
  const sinceMs = performance.now()
  const replies = await client.say(...messages)
  for (const [index, reply] of replies.entries()) {
    client.check(reply, numbers[index] as string, sinceMs)
  }
}

async function wholeTransaction(client: MovingClient): Promise<void> {
  const numbers = [nextNumber(), nextNumber()]
  const texts = ['begin', ...numbers.map((number) => question(number)), 'commit']
  const sinceMs = performance.now()
  const replies = await client.say(...texts.map((text) => raw.query(text)))
  const [, one, other] = replies as [Reply, Reply, Reply]
  const [first, second] = [one, other].map((reply, index) =>
    client.check(reply, numbers[index] as string, sinceMs),
  )
  if (first !== second && (first === null) === (second === null)) {
    throw new Error(`one transaction at ${first} and at ${second}`)
  }
}

/** Numbers of a statement that is prepared once for each connection. */
async function prepared(client: MovingClient): Promise<void> {
  const name = 'kept'
  if (!client.prepared.has(name)) {
    const [made] = await client.say(raw.parse(name, question('$1::text')), raw.sync())
    if (made?.error !== null) return
    client.prepared.add(name)
  }
  const sinceMs = performance.now()
  const number = nextNumber()
  const messages = [raw.bind({ statement: name, values: [number] }), raw.execute(), raw.sync()]
  const [reply] = await client.say(...messages)
  client.check(reply as Reply, number, sinceMs)
}

async function setting(client: MovingClient): Promise<void> {
  const tag = `${client.is.name} ${nextNumber()}`
  if (!(await client.run(`set kit.tag = '${tag}'`))) return
  client.tag = tag
  await askWhereItWas(client)
}

/** The server may still be asked what the statement in front has left, and is the client's meanwhile. */
async function askWhereItWas(client: MovingClient): Promise<void> {
  if (client.hold === 'keeps') return
  const before = client.hold
  client.hold = 'may keep'
  await ask(client)
  client.hold = before
}

async function listen(client: MovingClient, random: SeededRandom): Promise<void> {
  const channel = random.pick(channels)
  const sinceMs = performance.now()
  // One transaction, so that it is known where the client may stay.
  const number = nextNumber()
  const texts = ['begin', question(number), `listen ${channel}`, 'commit']
  const replies = await client.say(...texts.map((text) => raw.query(text)))
  client.check(replies[1] as Reply, number, sinceMs)
  if (replies.at(-1)?.error !== null || replies[2]?.error !== null) return
  client.channels.add(channel)
  if (client.hold === 'none') client.hold = 'may keep'
}

/** Who listens is told of its own notification in front of ReadyForQuery. */
async function notify(client: MovingClient, random: SeededRandom): Promise<void> {
  const channel = random.pick(channels)
  const payload = `${client.is.name} ${nextNumber()}`
  const { messages, error } = await client.ask(`notify ${channel}, '${payload}'`)
  if (error !== null || !client.channels.has(channel)) return
  client.notified.push(payload)
  const { processId } = client.seat.login
  const own = messages
    .filter(({ type }) => type === 'A')
    .map(readTold)
    .filter((told) => told.payload === payload)
  if (own.length !== 1) throw new Error(`told ${own.length} times of its own notification`)
  if (own[0]?.processId !== processId) throw new Error('told of its own as of another’s')
}

async function copyOut(client: MovingClient, random: SeededRandom): Promise<void> {
  const number = nextNumber()
  const rows = random.int(2000)
  const sql = `copy (select ${number} from generate_series(1, ${rows})) to stdout`
  const { messages, error } = await client.ask(sql)
  if (error !== null) return
  const data = messages.filter(({ type }) => type === 'd')
  if (data.length !== rows) throw new Error(`${data.length} rows of ${rows}`)
  const other = data.find(({ body }) => body.toString() !== `${number}\n`)
  if (other !== undefined) throw new Error(`the row ${other.body}, not ${number}`)
}

async function copyIn(client: MovingClient, random: SeededRandom): Promise<void> {
  const number = nextNumber()
  const rows = random.int(200)
  const data = Array.from({ length: rows }, () => raw.copyData(`${number}\t${client.is.name}\n`))
  const sinceMs = performance.now()
  const count = `(select count(*) from copied where number = ${number})`
  const replies = await client.say(
    raw.query('begin'),
    raw.query('copy copied from stdin'),
    ...data,
    raw.copyDone(),
    raw.query(question(number, count)),
    raw.query('rollback'),
  )
  const counted = replies[2] as Reply
  if (client.check(counted, number, sinceMs) === null) return
  if (counted.rows[0]?.at(-1) !== `${rows}`) throw new Error(`${counted.rows[0]?.at(-1)} copied`)
}

/** By itself; others that try with other keys do not. */
async function cancelled(client: MovingClient, random: SeededRandom): Promise<void> {
  const { raw: connection, login } = client.seat
  const isOwn = random.chance(0.7)
  const secret = Buffer.from(login.secret)
  if (!isOwn) secret[random.int(secret.length)]! ^= 1 << random.int(8)
  const answered = ask(client, `pg_sleep(${random.int(400) / 1000})`)
  answered.catch(() => {})
  await sleep(systemClock, random.int(60))
  const span = { fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY }
  if (isOwn) client.cancels.push(span)
  await connection.cancel(login.processId, secret)
  span.toMs = performance.now()
  await answered
}

/** Keeps its server from the table to DISCARD ALL. */
async function temporary(client: MovingClient): Promise<void> {
  const number = nextNumber()
  const sinceMs = performance.now()
  const texts = ['begin', `create temporary table mine as select ${number} as n`, question(number)]
  const replies = await client.say(...texts.map((text) => raw.query(text)))
  const isThere = client.check(replies[2] as Reply, number, sinceMs) !== null
  if (!isThere) {
    if (client.isInTransaction) await client.run('rollback')
    return
  }
  if (!(await client.run('commit'))) return
  client.hold = 'keeps'
  for (const _ of [1, 2, 3]) {
    const { rows, error } = await client.ask('select n from mine')
    if (error !== null || rows[0]?.[0] !== number) throw new Error('its own table is gone')
    await ask(client)
  }
  if (!(await client.run('discard all'))) throw new Error('nothing was discarded')
  client.tag = ''
  client.prepared.clear()
  client.channels.clear()
  client.hold = client.is.mode === 'session' ? 'keeps' : 'may keep'
  await askWhereItWas(client)
  if (client.is.mode !== 'session') client.hold = 'none'
}

/** In the midst of something, as a program that is killed. */
async function leave(client: MovingClient, random: SeededRandom): Promise<void> {
  const { raw: connection } = client.seat
  const begun = random.pick([
    [],
    [raw.query('begin')],
    [raw.query('begin'), raw.query(question('1', 'pg_sleep(600)'))],
    [raw.query('copy copied from stdin'), raw.copyData('1\t')],
    [raw.parse('', question('1')), raw.bind(), raw.execute()],
    [raw.query('select 1').subarray(0, 7)],
  ])
  await connection.send(Buffer.concat(begun))
  await sleep(systemClock, random.int(30))
  client.leave(
    random.pick(['close', 'reset', ...(begun.length === 0 ? ['terminate' as const] : [])] as const),
  )
}

const acts: Readonly<Record<string, Act>> = {
  short: askOnce,
  long,
  wrong,
  transaction,
  pipeline,
  wholeTransaction,
  prepared,
  setting,
  listen,
  notify,
  copyOut,
  copyIn,
  cancelled,
  temporary,
  leave,
}

export async function actAtRandom(client: MovingClient, random: SeededRandom): Promise<void> {
  client.doing = random.weighted({
    short: 6,
    long: 4,
    wrong: 1,
    transaction: 6,
    pipeline: 4,
    wholeTransaction: 3,
    prepared: 5,
    setting: 2,
    listen: 1,
    notify: 3,
    copyOut: 2,
    copyIn: 2,
    cancelled: 2,
    temporary: 1,
    leave: 2,
  })
  await (acts[client.doing] as Act)(client, random)
}

/** With the project at rest: what a client has set, prepared and listens to is all there. */
export async function checkAtRest(client: MovingClient): Promise<void> {
  client.doing = 'at rest'
  if (!(await ask(client))) throw new Error('refused, and nothing is done any more')
  await prepared(client)
  if (!client.prepared.has('kept')) throw new Error('nothing can be prepared')
  for (const payload of client.notified) {
    const told = toldOf(client).filter((one) => one.payload === payload)
    if (told.length !== 1) throw new Error(`told ${told.length} times of ${payload}`)
  }
  const strange = toldOf(client).find(
    ({ channel }) => !(channels as readonly string[]).includes(channel),
  )
  if (strange !== undefined) throw new Error(`told of ${strange.channel}`)
}

/** Who listens at the project's place hears of it, as often as it takes for the connection that listens to stand. */
export async function checkListening(
  clients: readonly MovingClient[],
  tell: (channel: string, payload: string) => Promise<void>,
): Promise<void> {
  for (const channel of channels) {
    const listeners = clients.filter(
      (one) => one.channels.has(channel) && one.is.mode === 'transaction',
    )
    const hasHeard = (one: MovingClient) =>
      toldOf(one).some((told) => told.channel === channel && told.payload === 'last')
    await eventually(async () => {
      if (listeners.every(hasHeard)) return true
      await tell(channel, 'last')
      await sleep(systemClock, 10)
      return listeners.every(hasHeard)
    })
  }
}

const toldOf = (client: MovingClient) =>
  client.seat.raw.received.filter(({ type }) => type === 'A').map(readTold)

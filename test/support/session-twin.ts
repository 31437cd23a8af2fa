// A client through the pooler beside a twin that does the same on Postgres itself. What a random step
// of theirs is: settings in every form, transactions and savepoints, what pins, named statements.
import * as raw from './raw-messages.ts'
import type { SeededRandom } from './seeded-random.ts'

export interface Step {
  readonly messages: readonly Buffer[]
  readonly text: string
  /** It may leave something that keeps the client on its server. */
  readonly mayPin: boolean
  /** It uses names of prepared statements by protocol. */
  readonly isNamed: boolean
  /** It asks, outside of a transaction, for what a sequence gave in an earlier one. */
  readonly asksSequence: boolean
}

/** Settings and values that they are given, as they stand in SQL. */
const settings: Readonly<Record<string, readonly string[]>> = {
  work_mem: ["'3MB'", "'5MB'"],
  application_name: ["'a'", "'b c'", "''"],
  timezone: ["'UTC'", "'Europe/Berlin'"],
  datestyle: ["'ISO, DMY'", "'SQL, MDY'"],
  intervalstyle: ["'iso_8601'", "'postgres'"],
  search_path: ["'one'", "'two'", "'two, one'"],
  extra_float_digits: ["'0'", "'3'"],
  statement_timeout: ["'61s'", "'92s'"],
  client_min_messages: ["'notice'", "'warning'"],
  standard_conforming_strings: ["'on'", "'off'"],
  client_encoding: ["'utf8'", "'latin1'"],
  default_transaction_isolation: ["'serializable'", "'read committed'"],
  'kit.note': ["'x'", "'it''s ä'"],
  'kit."Odd name"': ["'y'"],
}
const names = Object.keys(settings)
const plain = (name: string): string => name.replaceAll('"', '')

/** Reads what a client has: of all settings, and of what only a server can hold. */
export const probes: readonly string[] = [
  ...names.map((name) => `select coalesce(current_setting('${plain(name)}', true), '')`),
  "select current_user, session_user, current_setting('role')",
  'select name, statement from pg_prepared_statements where from_sql order by 1',
  'select name, is_holdable from pg_cursors where is_holdable order by 1',
  "select relname from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r' order by 1",
  "select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() order by 1",
]

const readers = [
  'select v from t',
  "select '2020-01-02 03:04:05+00'::timestamptz, interval '1 day 2 hours', 0.1::float8",
  "select length('a\\nb'), 'ä'",
  'show search_path',
  'show work_mem',
  'select current_user',
  'create table public.t (v text)',
  'nonsense',
  '',
  'table one.t; table two.t',
]
const transactions = {
  none: ['begin', 'begin', 'begin', 'begin isolation level serializable', 'commit', 'rollback'],
  open: [
    'commit',
    'commit',
    'rollback',
    'commit and chain',
    'savepoint s',
    'savepoint s',
    'rollback to s',
    'release s',
    'select 1/0',
    'begin',
  ],
}
const pinning = [
  'create temp table kept (a int)',
  'create temp table kept as select 5 as a',
  'create temp table brief (a int) on commit drop',
  'insert into kept values (1), (2)',
  'select count(*) from kept',
  'drop table kept',
  'declare held cursor with hold for select n from generate_series(1, 5) n',
  'declare short cursor for select 1',
  'fetch 2 from held',
  'close held',
  'close all',
  "prepare own as select current_setting('work_mem')",
  'prepare other as select 6',
  'prepare n1 as select 7',
  'execute own',
  "prepare sets as select set_config('kit.note', 'own', false), set_config('work_mem', '9MB', false)",
  'execute sets',
  'deallocate sets',
  'deallocate own',
  'deallocate prepare other',
  'deallocate all',
  'select pg_try_advisory_lock(11)',
  'select pg_try_advisory_lock(12), pg_try_advisory_lock_shared(13)',
  'select pg_try_advisory_xact_lock(14)',
  'select pg_advisory_unlock(11)',
  'select pg_advisory_unlock_all()',
  "do $$begin execute 'create temp table made (a int)'; exception when duplicate_table then null; end$$",
  'select * from made',
  'discard temp',
]
const next = "select nextval('one.s')"
const sequences = {
  none: [next, next, 'select lastval()', "select currval('one.s'::regclass)"],
  open: [next, `${next}, lastval()`, `${next}; select currval('one.s')`],
}
/** With the numbers of their parameters. */
const prepared: readonly (readonly [string, readonly string[]])[] = [
  ['select v from t', []],
  ["select current_setting('work_mem')", []],
  ['select $1::int + 1', ['41']],
  ["set work_mem = '7MB'", []],
  ["set local work_mem = '8MB'", []],
  ["select set_config('application_name', $1, false)", ['bound']],
  ["select set_config($1, '4MB', true)", ['work_mem']],
  ["select set_config('work_mem', $1, false)", ['2MB']],
  ["select set_config('kit.note', 'of n', false)", []],
  ['nonsense', []],
  ['begin', []],
  ['commit', []],
  ['rollback', []],
  ['reset all', []],
  ['select pg_try_advisory_xact_lock(15)', []],
]
const discards = ['discard all', 'discard all', 'discard plans', 'discard sequences']
const statementNames = ['n0', 'n1', 'n2', '']
/** SQL about the names of the protocol. */
const naming = [
  'execute n0',
  "execute n1('41')",
  'execute n2',
  'explain (costs off) execute n1',
  'deallocate n0',
  'deallocate n1; execute n2',
  'deallocate all',
  'prepare n2 as select 8',
]

const textOf = (messages: readonly Buffer[]): string =>
  messages.map((bytes) => bytes.toString('utf8', 0, 1) + bytes.toString('utf8', 5)).join(' ')

const step = (messages: readonly Buffer[], mayPin = false, isNamed = false): Step => ({
  messages,
  text: textOf(messages).replaceAll('\0', ' '),
  mayPin,
  isNamed,
  asksSequence: false,
})

function settingText(random: SeededRandom, otherRole: string): string {
  if (random.chance(0.15)) {
    return random.pick([
      `set role "${otherRole}"`,
      `set local role "${otherRole}"`,
      'set role none',
      'reset role',
      'reset all',
      'set session authorization default',
      "set time zone 'Asia/Tokyo'",
      "set names 'utf8'",
      "set schema 'one'",
      'set session characteristics as transaction read only',
      'set session characteristics as transaction read write',
      'set transaction isolation level serializable',
    ])
  }
  const name = random.pick(names)
  const value = random.pick(settings[name] as readonly string[])
  const function_ = `set_config('${plain(name)}', ${value}, ${random.chance(0.7) ? 'false' : 'true'})`
  return random.pick([
    `set ${name} = ${value}`,
    `set ${name} to ${value}`,
    `SET SESSION ${name} = ${value}`,
    `set local ${name} = ${value}`,
    `reset ${name}`,
    `set ${name} to default`,
    `select ${function_}`,
    `do $$begin perform ${function_}; end$$`,
    `begin; set ${name} = ${value}; commit`,
    `begin; set ${name} = ${value}; savepoint s; reset ${name}; rollback to s; commit`,
    `set ${name} = ${value}; select 1/0`,
  ])
}

const namedKinds = { parse: 5, parseAnew: 5, use: 6, describe: 2, close: 1, sync: 1 }
const badText = Buffer.concat([Buffer.from("select '"), Buffer.of(0xff, 0)])

/** Postgres cannot read them; but for the bad text, which a client in latin1 may send. */
const brokenMessages = (statement: string): readonly Buffer[] => [
  raw.message('P', raw.cstring(statement), raw.cstring('select 1')),
  raw.message('P', raw.cstring(statement), badText, raw.int16(0)),
  raw.message('B', raw.cstring(''), raw.cstring(statement)),
  raw.message('D', Buffer.from('S'), raw.cstring(statement), raw.cstring('')),
  raw.message('C', Buffer.from('S'), raw.cstring(statement), raw.cstring('')),
  raw.message('E', raw.cstring('')),
]
const brokenQueries: readonly Buffer[] = [
  raw.message('Q', Buffer.from('select 1')),
  raw.message('Q', raw.cstring('select 1'), raw.cstring('select 2')),
  raw.message('Q', badText),
]

function namedStep(random: SeededRandom): Step {
  const messages: Buffer[] = []
  let hasUnnamed = false
  for (let count = 1 + random.int(4); count > 0; count--) {
    const statement = random.pick(statementNames)
    const [text, values] = random.pick(prepared)
    const use = () => [raw.bind({ statement, values }), raw.execute()]
    const kind = random.weighted({ ...namedKinds, broken: 0.3 })
    if (kind === 'parse') messages.push(raw.parse(statement, text))
    if (kind === 'parseAnew') {
      messages.push(raw.closeMessage('statement', statement), raw.parse(statement, text), ...use())
    }
    if (kind === 'use') messages.push(...use())
    // An unnamed EXECUTE of before keeps the columns that its name had at its Parse, see decision 69.
    if (kind === 'describe' && (statement !== '' || hasUnnamed)) {
      messages.push(raw.describeMessage('statement', statement))
    }
    if (statement === '' && kind.startsWith('parse')) hasUnnamed = true
    if (kind === 'close') messages.push(raw.closeMessage('statement', statement))
    if (kind === 'broken') messages.push(random.pick(brokenMessages(statement)))
    if (kind === 'sync') messages.push(raw.sync())
  }
  return step([...messages, raw.sync()], false, true)
}

const sync = raw.sync()
const ends = (messages: readonly Buffer[]): boolean => messages.at(-1)?.[0] === sync[0]
const batchOf = (sql: string, asks: readonly Buffer[] = []): readonly Buffer[] => [
  raw.parse('', sql),
  raw.bind(),
  ...asks,
  raw.execute(),
  sync,
]

const unnamedGone = [raw.closeMessage('statement', ''), sync]

/** Several things, of which none waits for the answers of those in front of it. */
function pipelineStep(random: SeededRandom, otherRole: string): Step {
  const parts: Step[] = []
  for (let count = 2 + random.int(4); count > 0; count--) {
    const kind = random.weighted({
      named: 5,
      naming: 4,
      setting: 2,
      reader: 2,
      transaction: 3,
      pin: 2,
      discard: 1,
      broken: 0.3,
    })
    if (kind === 'broken') {
      parts.push(step([random.pick(brokenQueries)]))
      continue
    }
    if (kind === 'named') {
      parts.push(namedStep(random))
      continue
    }
    const sql = {
      naming: () => random.pick(naming),
      setting: () => settingText(random, otherRole),
      reader: () => random.pick(readers),
      transaction: () => random.pick(transactions[random.chance(0.5) ? 'none' : 'open']),
      pin: () => random.pick(pinning),
      discard: () => random.pick(discards),
    }[kind]()
    const isQuery = sql.includes(';') || random.chance(0.5)
    const mayPin = kind === 'pin' || sql.startsWith('prepare')
    parts.push(step(isQuery ? [raw.query(sql)] : batchOf(sql), mayPin, kind === 'naming'))
  }
  const messages = parts.flatMap((part, index) => {
    // A batch may go on with what comes next, but for a Query.
    const next = parts[index + 1]?.messages[0]?.toString('latin1', 0, 1) ?? 'Q'
    // Nor behind an EXECUTE of COMMIT: a BEGIN there ends the connection of Postgres 18. Behind a RESET a
    // batch meets the server's defaults.
    const mayGoOn =
      next !== 'Q' && ends(part.messages) && !/execute|discard|reset|default/.test(part.text)
    const goesOn = mayGoOn && random.chance(0.3)
    if (!goesOn) return part.messages
    return [...part.messages.slice(0, -1), ...(random.chance(0.3) ? [raw.flush()] : [])]
  })
  const mayPin = parts.some((part) => part.mayPin)
  const isNamed = parts.some((part) => part.isNamed)
  return step(messages, mayPin, isNamed)
}

/** What a client in this state does next: `status` as ReadyForQuery has it. */
export function randomStep(random: SeededRandom, status: string, otherRole: string): Step {
  const isIdle = status === 'I'
  const kind = random.weighted({
    setting: 12,
    reader: 5,
    transaction: isIdle ? 4 : 8,
    pin: 5,
    sequence: 2,
    named: 6,
    discard: isIdle ? 2 : 0,
    several: 2,
    pipeline: 6,
  })
  if (kind === 'named') return namedStep(random)
  if (kind === 'pipeline') return pipelineStep(random, otherRole)
  const text = () => settingText(random, otherRole)
  if (kind === 'several') {
    return step(
      [...Array.from({ length: 2 + random.int(3) }, text), 'show work_mem'].map(raw.query),
    )
  }
  const sql = {
    setting: text,
    reader: () => random.pick(readers),
    transaction: () => random.pick(transactions[isIdle ? 'none' : 'open']),
    pin: () => random.pick(pinning),
    sequence: () => random.pick(sequences[isIdle ? 'none' : 'open']),
    discard: () => random.pick(discards),
  }[kind]()
  const isOne = !sql.includes(';') || sql.startsWith('do')
  const asksSequence = isIdle && kind === 'sequence' && sql !== next
  const isQuery = !isOne || random.chance(0.6)
  const asks = random.chance(0.5) ? [raw.describeMessage('portal')] : []
  // What it asks for is no later step's to ask again.
  const batch = [...batchOf(sql, asks), ...(asksSequence ? unnamedGone : [])]
  const messages = isQuery ? [raw.query(sql)] : batch
  return { ...step(messages, kind === 'pin' || asksSequence), asksSequence }
}

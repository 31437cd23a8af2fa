import { describe, expect, test } from 'vitest'
import { SessionSuspicion } from '../../../pooler/relay/session-suspicion.ts'
import {
  harmless,
  type TextVerdict,
  unknownText,
  verdictOfBytes,
  verdictOfPrepared,
} from '../../../pooler/relay/text-verdict.ts'

const verdict = (text: string): TextVerdict => {
  const bytes = Buffer.from(`Q${text}\0`)
  return verdictOfBytes(bytes, 1, bytes.length - 1)
}

describe('a text', () => {
  test.each([
    'select 1',
    'SELECT abalance FROM pgbench_accounts WHERE aid = 1;',
    'select count(*), max(a) from t where b in (1, 2) and exists (select 1)',
    'insert into t (a, b) values (1, now())',
    'insert into s."T x" (a) values ($1) on conflict (a) do nothing returning a',
    'create index on t (a)',
    'update t set timezone = 1, b = default where c in (select reset from d);',
    'select asset, offset_1, templates, holder from resets',
    'select pg_catalog.lower(name) from t',
    "select set_config('app.user', $1, true), set_config($2, $3, true)",
    '',
  ])('%j leaves nothing behind', (text) => {
    expect(verdict(text)).toBe(harmless)
  })

  test.each([
    ["set work_mem = '1MB'", ['work_mem']],
    ['SET SESSION  Work_Mem TO 5', ['work_mem']],
    ['set local "App"."User" to 5', ['app.user']],
    ['update t set a = 1; set b to 1', ['a', 'b']],
    ['begin; set role joe; set time zone 5; commit', ['role', 'timezone']],
    ['set session authorization joe', ['session_authorization', 'role']],
    ["set names 'latin1'", ['client_encoding']],
    [
      'set transaction isolation level serializable',
      ['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'],
    ],
  ])('%j may set %j, if a tag says so', (text, names) => {
    expect(verdict(text)).toMatchObject({
      sets: names,
      configs: [],
      mayHold: false,
      mayUnset: false,
      mayNameStatements: false,
    })
  })

  test.each([
    'set work_mem to default',
    'SET SESSION work_mem = DEFAULT; select 1',
    'set time zone local',
    'reset work_mem',
    'RESET ALL',
    'discard all',
  ])('%j may take a setting back to its default', (text) => {
    expect(verdict(text).mayUnset).toBe(true)
  })

  test.each([
    ["select set_config('App.User', 'x', false)", ['app.user']],
    ["select set_config('it''s', 'x', false)", ["it's"]],
    ['select set_config($1, $2, false)', ['*']],
  ])('%j changes %j without a tag', (text, names) => {
    expect(verdict(text)).toMatchObject({
      sets: [],
      configs: names,
      mayHold: false,
      mayUnset: false,
      mayNameStatements: false,
    })
  })

  test.each([
    'select my_function(1)',
    'select pg_advisory_lock(1)',
    'select app.now()',
    'select "count"(1), f (2)',
  ])('%j may do anything, because it calls something unknown', (text) => {
    expect(verdict(text)).toMatchObject({ configs: ['*'], mayHold: true })
  })

  test.each([
    'create temp table t as select 1',
    'declare c cursor with hold for select 1',
    'LISTEN x',
  ])('%j may hold something', (text) => {
    expect(verdict(text).mayHold).toBe(true)
  })

  test.each([
    ['select lastval()', 'earlier'],
    ["insert into child values (currval('parent_id_seq'))", 'earlier'],
    ["insert into t values (1); select currval('t_id_seq')", 'own'],
    ["select nextval('s'), currval('s')", 'own'],
    ["select currval('s'), nextval('s')", 'earlier'],
    ["select nextval('s'), last_value from s where (1 = 1) and lock_timeout() > 0", null],
  ])('%j asks what sequences gave: %j', (text, asks) => {
    expect(verdict(text).asksSequences).toBe(asks)
  })

  test('that has not come whole, or is very long, is not looked at but asked about', () => {
    expect(verdictOfBytes(Buffer.from('select 1'), 0, -1)).toBe(unknownText)
    expect(verdictOfBytes(Buffer.from('select 1'), 0, 100)).toBe(unknownText)
    expect(verdict(`select '${'x'.repeat(20_000)}'`)).toBe(unknownText)
  })
})

describe('suspicion', () => {
  test('of a SET counts only when a tag tells of one', () => {
    const suspicion = new SessionSuspicion()
    suspicion.onText(verdict('set a = 1'))
    expect(suspicion.isAny).toBe(false)
    suspicion.onSetTag()
    expect([...suspicion.settingsToAsk()]).toEqual(['a'])
  })

  test('is of everything when a tag tells of a SET that no text showed', () => {
    const suspicion = new SessionSuspicion()
    suspicion.onSetTag()
    expect([...suspicion.settingsToAsk()]).toEqual(['*'])
  })

  test('is none of what ends with the transaction, as long as a text names nothing else', () => {
    const suspicion = new SessionSuspicion()
    suspicion.onText(verdict('set transaction read only'))
    suspicion.onSetTag()
    expect(suspicion.isAny).toBe(false)
    suspicion.onText(verdict('set transaction read only; set a = 1'))
    suspicion.onSetTag()
    expect(suspicion.settingsToAsk()).toContain('a')
    suspicion.clear()
    suspicion.onText(verdict('set transaction read only'))
    suspicion.onSetTag()
    suspicion.onSetTag()
    expect([...suspicion.settingsToAsk()]).toEqual(['*'])
  })

  test('is over when the server has been asked', () => {
    const suspicion = new SessionSuspicion()
    suspicion.onCode()
    expect(suspicion.isAny).toBe(true)
    suspicion.clear()
    expect(suspicion.isAny).toBe(false)
    expect(suspicion.settingsToAsk().size).toBe(0)
  })
})

describe('a setting that is easily overlooked', () => {
  test.each([
    [`select "set_config"('a.b', 'x', false)`, 'a.b'],
    [`select set_config('a.b', 'x, true)', false)`, 'a.b'],
    [`select set_config('a.b', $$x, true)$$, false)`, 'a.b'],
    [`select set_config('a.b', c /*, true)*/, false) from v`, 'a.b'],
    [`select set_config('a.' || 'b', 'x', false)`, '*'],
    [`select set_config(E'a\\.b', 'x', false)`, '*'],
    [`select U&"set\\005fconfig"('a.b', 'x', false)`, '*'],
    [`select set_config/**/('a.b', 'x', false)`, 'a.b'],
    [`select set_config /* /* */ */ -- \n ('a.b', 'x', false)`, 'a.b'],
    [`do $$begin set a.b = 'x'; perform set_config('c.d', 'x', false); end$$`, 'a.b'],
    [`do 'begin commit; end'`, '*'],
    [`select set_config('a.ä', 'x', false)`, '*'],
    [`select U&"f!0066" UESCAPE '!'(1)`, '*'],
    [`select 'on "', f(5), '"('`, '*'],
    [`select 1 from a join b on f(a.x)`, '*'],
    [`select a.index, b.x from a join b on f(b.x)`, '*'],
    [`select a.create index from a join b on f(b.x)`, '*'],
    [`select \x83\\(1)`, '*'],
    [`select "Max"(1)`, '*'],
    [`select public./**/lower(1)`, '*'],
    [`select "PG_CATALOG".lower(1)`, '*'],
    [`select a . pg_catalog . lower(1)`, '*'],
    [`select "a""b"(1)`, '*'],
    [`select 'C:\\', f(1), '\\'' ('`, '*'],
    [`select f --\n (1)`, '*'],
    [`select üabs(1)`, '*'],
  ])('%s: %s', (text, name) => {
    expect(verdict(text).configs).toContain(name)
  })

  test.each([
    `select set_config('a.b', 'x', true)`,
    `select set_config ( $1 , $2 , true )`,
    `select set_config('a.b'::text, 'it''s'::text, true)`,
    `select abs(1) /* a comment */`,
    `select a -- f(1)\n from t where b in (1)`,
    `select pg_catalog . "lower" (a), "pg_catalog".abs(1), ("a""b")`,
    `select 'f(1)', $$set_config('a.b', 'x', false)$$ from t`,
    `create unique index on t (a)`,
    `create index if not exists i on only t (a)`,
    `select 1;\n/* a */ create unique index concurrently i on t (a)`,
  ])('%s: none', (text) => {
    expect(verdict(text).configs).toEqual([])
  })

  test.each([
    ['set/**/a.b = 1', 'a.b'],
    ['set session /**/ a . b = 1', 'a.b'],
    ['set a.b.c = 1', 'a.b.c'],
    ['set"a"."B c" = 1', 'a.b c'],
    [`select 'set "'; set a.b = 1; select '"'`, 'a.b'],
  ])('%s: %s', (text, name) => {
    expect(verdict(text).sets).toEqual([name])
  })

  test.each([`set ä.b = 'x'`, `set U&"a".b = 'x'`])('%s: by a name that is not read', (text) => {
    const suspicion = new SessionSuspicion()
    suspicion.onText(verdict('set work_mem = 1'))
    suspicion.onText(verdict(text))
    suspicion.onSetTag()
    expect([...suspicion.settingsToAsk()].sort()).toContain('*')
    expect(suspicion.mayBeUnlisted).toBe(true)
  })
})

describe('a text that prepared a statement in SQL', () => {
  test.each([
    ["prepare a as select set_config('work_mem', $1, false)", true],
    ['prepare a as select f(1)', true],
    ['prepare a as select lastval()', true],
    ["prepare a as select set_config('work_mem', $1, true)", false],
    ['prepare a (int) as select v from t where n = $1', false],
    ['prepare a as update t set v = $1', false],
    ['prepare "a b" (int, text) as values ($1, $2)', false],
    ['prepare a (int) as select f($1)', true],
    ['prepare a as select 1; select f(1)', true],
  ])('%s: may leave something, %s', (text, isSo) => {
    expect(verdictOfPrepared(text) !== null).toBe(isSo)
  })
})

import { expect, test } from 'vitest'
import { referencesIn } from '../../../pooler/relay/statement-references.ts'

const found = (text: string, hasBackslashes = false): string[] =>
  referencesIn(Buffer.from(text).toString('latin1'), { hasBackslashes, wanted: new Map() }).map(
    ({ verb, name, from, to }) =>
      verb === 'all' ? 'all' : `${verb} ${name} ${Buffer.from(text).toString('latin1', from, to)}`,
  )

test.each([
  ['execute s', ['execute s s']],
  ['EXECUTE Foo(1, $1)', ['execute foo Foo']],
  ['execute "Foo ""x"""', ['execute Foo "x" "Foo ""x"""']],
  ['execute U&"S"', ['execute S U&"S"']],
  ['/* a /* b */ execute x */ -- execute y\n execute/**/z', ['execute z z']],
  ['explain execute s', ['execute s s']],
  ['explain (analyze, costs off) execute s(1)', ['execute s s']],
  ['explain analyze verbose execute s', ['execute s s']],
  ['create temp table t (a) with (fillfactor = 10) as execute s(1)', ['execute s s']],
  ['explain create table t as execute s', ['execute s s']],
  ['deallocate s', ['deallocate s s']],
  ['deallocate prepare s;', ['deallocate s s']],
  ['deallocate prepare', ['deallocate prepare prepare']],
  ['deallocate prepare; execute s', ['deallocate prepare prepare', 'execute s s']],
  ['deallocate "all"', ['deallocate all "all"']],
  ['deallocate prepare all', ['all']],
  ['select 1; deallocate all', ['all']],
  ['discard all', ['all']],
  ['prepare s (int, text) as select 1; execute s(2)', ['prepare s s', 'execute s s']],
  ['prepare transaction as select 1', ['prepare transaction transaction']],
  [';;deallocate a;select 1;execute b;', ['deallocate a a', 'execute b b']],
  ["select 'a''; execute x'; execute y", ['execute y y']],
  ["select E'a\\'; execute x'; execute y", ['execute y y']],
  ["select U&'a\\'; execute y", ['execute y y']],
  ["select E'a'\n'b\\'; execute x'; execute y", ['execute y y']],
  ["select e'a' -- 'c'\r\n \t--'\n'b\\'; execute x'; execute y", ['execute y y']],
  ["select 'a'\n'b\\'; execute y", ['execute y y']],
  ["select E'a' 'b\\'; execute y; select '", ['execute y y']],
  ["select E'a' /*\n*/ 'b\\'; execute y; select '", ['execute y y']],
  ["select E'a';\nselect 'b\\'; execute y", ['execute y y']],
  ['do $$execute x; execute z$$; execute y', ['execute y y']],
  ['do $a$ $$ ; execute x $a$; execute y', ['execute y y']],
])('%s names its statements', (text, wanted) => {
  expect(found(text)).toEqual(wanted)
})

test.each([
  'select execute from t',
  'select 1 as "; execute x"',
  "prepare transaction 'execute'",
  'create trigger t before insert on u for each row execute function f()',
  'grant execute on function f() to joe',
  'create view v as select 1 as execute',
  'discard plans',
  'execute',
  'deallocate',
  'execute (s)',
  'execute $1',
  "execute 's'",
  'explain select 1 as execute',
  '/* execute s',
  "select 'x; execute s",
  'select "x; execute s',
  'select $a$; execute s',
  'select a$b$; execute$ s',
])('%s names none', (text) => {
  expect(found(text)).toEqual([])
})

test('a backslash escapes where strings do not conform to the standard', () => {
  const text = "select 'a\\'; execute s; select '"
  expect(found(text)).toEqual(['execute s s'])
  expect(found(text, true)).toEqual([])
})

test('a name is cut where Postgres cuts it, at a whole character', () => {
  const text = Buffer.from(`execute "${'é'.repeat(32)}"`).toString('latin1')
  const [{ name } = { name: '' }] = referencesIn(text, { hasBackslashes: false, wanted: new Map() })
  expect(Buffer.from(name, 'latin1').toString()).toBe('é'.repeat(31))
  expect(found(`execute ${'n'.repeat(70)}`)[0]?.split(' ')[1]).toBe('n'.repeat(63))
})

test.each([
  ['SJIS', "select E'\x95\\'; execute s; select '", ['execute s']],
  ['SJIS', "select E'\xb1\\'; execute x'; execute s", ['execute s']],
  ['GBK', "select E'\xb1\\'; execute s; select '", ['execute s']],
  ['GB18030', "select E'\x81\x30\x81\x30\\'; execute x'; execute s", ['execute s']],
  ['UTF8', "select E'\xc3\xa9\\'; execute x'; execute s", ['execute s']],
  ['BIG5', 'execute AB\xa4AB', ['execute ab\xa4Ab']],
  ['BIG5', 'execute "\xa4\\"', ['execute \xa4\\']],
  ['UHC', 'select $\xb1|$; execute x $\xb1|$; execute s', ['execute s']],
])('in %s letters end in signs that are none: %s', (encoding, text, wanted) => {
  const settings = { hasBackslashes: false, wanted: new Map([['client_encoding', encoding]]) }
  const names = referencesIn(text, settings).map(({ verb, name }) => `${verb} ${name}`)
  expect(names).toEqual(wanted)
})

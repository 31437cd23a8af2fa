// psql as people use it: what it prints is the same direct and through either port.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sharedPostgres } from '../support/postgres.ts'
import { needsProgram, programVersion } from '../support/program.ts'
import { psql } from '../support/psql.ts'
import { Ways } from '../support/ways.ts'

let ways: Ways
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-psql-'))
  ways = await Ways.open(sharedPostgres(), {
    prepare: `create table item (id int primary key, name text not null, price numeric default 1.5);
      comment on table item is 'things'; create index item_name on item (lower(name));
      create view dear as select * from item where price > 10;
      create function half(n numeric) returns numeric language sql as 'select n / 2';
      insert into item select n, 'item ' || n, n from generate_series(1, 300) n`,
  })
})
afterAll(async () => {
  await ways.close()
  await rm(folder, { recursive: true, force: true })
})

/** What psql prints for a script, the same each way; `{way}` in it is a name of the way's own. */
async function told(script: string, args: readonly string[] = []): Promise<string> {
  const outcome = await ways.agree(async (_address, way) => {
    const own = script.replaceAll('{way}', way)
    const options = ['--set', 'ON_ERROR_STOP=0', ...args]
    const { exitCode, stdout, stderr } = await psql(ways.url(way), own, { args: options })
    return { exitCode, stdout, stderr }
  })
  return outcome.stdout + outcome.stderr
}

test('\\d and its kin', async (context) => {
  needsProgram(context, 'psql')
  const text = await told(
    '\\d\n\\d+ item\n\\d item_name\n\\df half\n\\dv+\n\\dn\n\\dt *.item\n\\sf half\n\\dp item',
  )
  expect(text).toContain('lower(name)')
})

test('\\copy in and out, of a file and of the script itself', async (context) => {
  needsProgram(context, 'psql')
  const lines = Array.from({ length: 20_000 }, (_, n) => `${1000 + n}\tcopied ${n}\t${n}.25\n`)
  await writeFile(join(folder, 'in.tsv'), lines.join(''))
  const text = await told(
    `\\copy item from '${join(folder, 'in.tsv')}'
     select count(*), sum(price) from item;
     \\copy (select * from item order by id) to '${join(folder, '{way}.csv')}' with (format csv, header)
     \\copy item from stdin
1\ttwice\t1
\\.
     begin;
     copy item (id, name) from stdin;
50000\tby hand
50001\ttoo
\\.
     select * from item where id >= 50000 order by id;
     rollback;
     copy (select id from item order by id limit 3) to stdout;`,
  )
  expect(text).toContain('by hand')
  expect(text).toContain('item_pkey')
  const direct = await readFile(join(folder, 'direct.csv'), 'utf8')
  expect(direct.split('\n')).toHaveLength(20_302)
  for (const way of ['transaction', 'session']) {
    expect(await readFile(join(folder, `${way}.csv`), 'utf8'), way).toBe(direct)
  }
})

test('\\gexec, \\gdesc, \\gset, \\crosstabview and FETCH_COUNT', async (context) => {
  needsProgram(context, 'psql')
  const text = await told(
    `select format('create table made_%s (n int)', n) from generate_series(1, 3) n \\gexec
     select tablename from pg_tables where tablename like 'made%' order by 1;
     select id, name, price * 2 as twice from item \\gdesc
     select id, name from item where id = 7 \\gset got_
     \\echo :got_id :got_name
     select id % 2, id % 3, count(*) from item group by 1, 2 order by 1, 2 \\crosstabview
     \\set FETCH_COUNT 40
     select id from item order by id;
     select 1 / (200 - id) as n from item order by id;
     \\set FETCH_COUNT 0
     select 'after';`,
  )
  expect(text).toContain('made_3')
  expect(text).toContain('division by zero')
})

test('\\watch that ends by itself, and ON_ERROR_ROLLBACK', async (context) => {
  needsProgram(context, 'psql')
  await told(
    `create table beat (n serial);
     with b as (insert into beat default values returning n)
     select case when n < 4 then n else 1 / (n - 4) end from b \\watch 0.01
     select max(n) from beat;
     \\set ON_ERROR_ROLLBACK on
     begin;
     insert into item (id, name) values (1000, 'kept');
     insert into item (id, name) values (1000, 'twice');
     select 1 / 0;
     commit;
     select name from item where id = 1000;`,
  )
})

test('\\bind', async (context) => {
  needsProgram(context, 'psql')
  const version = programVersion('psql')
  context.skip(version < 16, `psql ${version} has no \\bind`)
  const text = await told(
    `select $1::int + $2::int as sum \\bind 40 2 \\g
     select name from item where id = $1 \\bind 5 \\g
     select 1 / $1::int \\bind 0 \\g
     select 'after' \\bind \\g`,
  )
  expect(text).toContain('42')
})

test('a single transaction, a variable, prompts of state, and encodings', async (context) => {
  needsProgram(context, 'psql')
  await told(
    `insert into item (id, name) values (2000, 'one'); select 1/0; insert into item (id, name) values (2001, 'two');`,
    ['--single-transaction'],
  )
  const text = await told(
    `select count(*) from item where id >= 2000;
     \\set id 5
     select name from item where id = :id;
     \\encoding latin1
     \\echo :ENCODING
     select chr(252), length(chr(252));
     \\encoding utf8
     set timezone to 'Asia/Tokyo'; set search_path to nowhere;
     select * from item limit 1;
     reset search_path;
     select timestamptz '2026-01-01 00:00Z';
     prepare s (int) as select name from item where id = $1;
     execute s(3);
     deallocate s;
     execute s(3);`,
  )
  expect(text).toContain('item 3')
})

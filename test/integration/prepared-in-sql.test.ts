// EXECUTE, DEALLOCATE and PREPARE in SQL for statements that were prepared by protocol: Postgres has
// one name space for both. Each script is said to Postgres itself and through the transaction port,
// and the answers are equal, words and positions of errors included.
import { afterEach, describe, expect, test } from 'vitest'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields } from '../support/raw-replies.ts'
import { bothExtremes } from '../support/segments.ts'

let pooled: PooledPostgres
let direct: RawClient | null = null
afterEach(async () => {
  direct?.close()
  direct = null
  await pooled.stop()
})

async function start(options: PooledPostgresOptions = {}): Promise<void> {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

/** What a client sees of a reply; a plan's costs are none of it. */
function seen({ type, body }: raw.RawMessage): string {
  if (type === 'E' || type === 'N') {
    const { S, C, M, D = '', P = '' } = errorFields(body)
    return [type, S, C, M, D, P].join(' ')
  }
  return type === 'T' || type === 't' ? type : `${type} ${body.toString('latin1')}`
}

type Step = readonly Buffer[]
const sql = (...texts: string[]): Step => texts.map((text) => raw.query(text))
const run = (statement: string, portal = '') => [
  raw.bind({ portal, statement }),
  raw.execute(portal),
]
const batch = (...messages: Buffer[]): Step => [...messages, raw.sync()]
const readiesOf = (step: Step) =>
  step.filter((message) => 'QS'.includes(message.toString('latin1', 0, 1))).length

const prepared = batch(
  raw.parse('s', 'select $1::int as n'),
  raw.parse('S', "select 'upper'"),
  raw.parse('alias', "select 'upper'"),
  raw.parse('all', "select 'all'"),
  raw.parse('prepare', "select 'prepare'"),
  raw.parse(`${'n'.repeat(63)}abc`, "select 'long'"),
  raw.parse('Größe', "select 'utf8'"),
)

const scripts: Readonly<Record<string, readonly Step[]>> = {
  'EXECUTE in many forms': [
    prepared,
    ...[
      'execute s(5)',
      'execute S(1 + 1)',
      'EXECUTE/*x*/ "S"',
      '-- one\n/* two /* three */ */ execute "S" ;',
      'explain (costs off) execute s(1)',
      'explain (costs off, verbose) execute s(1)',
      'create temp table made as execute s(4)',
      'select * from made',
      'execute prepare',
      'execute "all"',
      `execute ${'n'.repeat(63)}`,
      'execute "Größe"',
      'execute U&"S"',
      "select E'a'\n'b\\'; execute s; --'",
      'discard all',
    ].map((text) => sql(text)),
  ],
  'errors in EXECUTE with their words and places': [
    prepared,
    ...[
      'execute none',
      'execute s',
      'execute s(1, 2)',
      'execute s(nope)',
      "select 'ü'; execute s('x')",
      "execute alias; execute s(1); execute s('x'); execute s(1)",
      'execute s(1',
      'execute s.t',
      'prepare s as select 1',
      'prepare alias (int) as select $1',
    ].map((text) => sql(text)),
  ],
  'DEALLOCATE drops the name, and it may be taken anew': [
    prepared,
    sql('deallocate s'),
    sql('execute s(1)'),
    sql('deallocate s'),
    batch(...run('s')),
    batch(raw.parse('s', "select 'new'"), ...run('s')),
    sql('execute s'),
    sql('deallocate prepare "S"; execute alias'),
    sql('deallocate prepare'),
    sql('deallocate prepare'),
    batch(...run('prepare')),
    sql(`deallocate ${'n'.repeat(63)}`),
    batch(...run('n'.repeat(63))),
    batch(...run('alias')),
  ],
  'several statements in one text': [
    prepared,
    sql('execute s(1); deallocate s; execute s(2); select 3'),
    sql('execute s(1)'),
    sql('deallocate alias; deallocate alias'),
    sql('select 1; deallocate "S"; select 1/0'),
    sql('execute "S"'),
    sql('begin; execute "all"; deallocate "all"'),
    sql('rollback'),
    sql('execute "all"'),
    sql('execute prepare; deallocate all; execute prepare'),
    batch(raw.parse('s', 'select 1'), ...run('s')),
  ],
  'in transactions that fail': [
    prepared,
    sql('begin'),
    sql('deallocate s'),
    sql('rollback'),
    sql('execute s(1)'),
    sql('begin'),
    sql('execute alias'),
    sql('select 1/0'),
    sql('execute alias'),
    sql('deallocate alias'),
    sql('rollback'),
    sql('execute alias'),
    sql('deallocate alias'),
  ],
  'sent ahead, with names behind': [
    prepared,
    [
      ...sql('select 1; deallocate all'),
      ...batch(raw.parse('s', "select 'again'"), ...run('s')),
      ...sql('execute s'),
      ...sql('/* a comment */ deallocate s'),
      ...batch(...run('s')),
      ...batch(raw.parse('s', "select 'third'")),
      ...sql('execute s; deallocate s; select 5'),
      ...batch(raw.parse('s', 'select 1'), raw.parse('s', 'select 2')),
      ...sql('execute s'),
      ...batch(raw.parse('s', "select 'fourth'"), ...run('s')),
    ],
    [...sql('begin', 'select 1/0', 'deallocate s', 'rollback', 'execute s')],
    [
      ...sql('discard all'),
      ...batch(...run('s')),
      ...batch(raw.parse('s', 'select 6'), ...run('s')),
    ],
  ],
  'in the extended protocol': [
    prepared,
    batch(raw.parse('', 'execute "S"'), raw.describeMessage('statement'), ...run('')),
    batch(
      raw.parse('x', '/* c */ execute "S"'),
      raw.parse('d', 'deallocate "S"'),
      raw.describeMessage('statement', 'x'),
      raw.describeMessage('statement', 'd'),
      raw.bind({ portal: 'p', statement: 'x' }),
      raw.bind({ portal: 'q', statement: 'd' }),
      raw.describeMessage('portal', 'p'),
      raw.execute('p'),
      raw.execute('q'),
    ),
    batch(...run('x')),
    batch(...run('d')),
    batch(raw.parse('S', "select 'other'"), ...run('x')),
    batch(...run('x')),
    batch(...run('d')),
    batch(raw.parse('', 'deallocate alias'), ...run('')),
    batch(...run('')),
    batch(...run('alias')),
    sql('begin'),
    batch(
      raw.bind({ portal: 'q', statement: 'd' }),
      raw.parse('e', 'deallocate "all"'),
      raw.bind({ portal: 'r', statement: 'e' }),
    ),
    batch(raw.execute('r'), raw.execute('q')),
    sql('rollback'),
    batch(...run('all')),
  ],
  'of a table that is gone': [
    sql('create table gone_soon (a int)'),
    batch(raw.parse('v', 'select a from gone_soon'), raw.parse('s', 'select 1')),
    sql('execute v'),
    batch(...run('s')),
    sql('drop table gone_soon'),
    sql('execute v'),
    sql('select 1; execute v'),
    sql('begin'),
    sql('execute v'),
    sql('select 1'),
    sql('rollback'),
    [...sql('begin', 'execute v', 'rollback', 'execute s')],
    sql('create table gone_soon (a int)'),
    sql('execute v'),
    sql('drop table gone_soon'),
  ],
  'under names of statements whose table is gone': [
    sql('create table gone_soon (a int)'),
    batch(raw.parse('v', 'select a from gone_soon'), raw.parse('s', 'select 1')),
    sql('drop table gone_soon'),
    batch(...run('s')),
    sql('prepare s as select 2; prepare v as select 3'),
    batch(...run('s')),
    sql('prepare v as select 3', 'execute v'),
    batch(...run('s')),
    batch(raw.parse('v', 'select 4')),
    batch(...run('s')),
    batch(raw.parse('v', 'nonsense'), ...run('s')),
    batch(raw.parse('', 'prepare v as select 5'), ...run('')),
    [
      ...batch(raw.parse('', 'prepare v as select 5'), ...run('')),
      ...batch(raw.parse('', 'prepare s as select 5'), ...run('')),
      ...sql('prepare v as select 6; prepare s as select 6', 'prepare s as select 6'),
    ],
    sql('begin', 'prepare v as select 6', 'prepare v as select 6', 'rollback'),
    sql('deallocate v; prepare v as select 7; execute v', 'execute v'),
    sql('discard all'),
  ],
  'under names of statements that name others': [
    prepared,
    batch(raw.parse('x', 'execute "S"'), raw.parse('y', 'deallocate x')),
    sql('prepare x as select 1', 'prepare y as select 1'),
    batch(raw.parse('x', 'select 2')),
    batch(...run('y')),
    batch(...run('x')),
    sql('deallocate y', 'deallocate y'),
    sql('prepare y as select 3; execute y'),
    sql('discard all'),
  ],
  'with statements of SQL beside them': [
    prepared,
    sql('prepare own as select 1'),
    sql('execute own; execute alias'),
    sql('deallocate own; deallocate alias'),
    sql('execute own'),
    sql('deallocate "S"; prepare "S" as select 2; execute "S"'),
    batch(...run('S')),
    sql('deallocate all'),
  ],
  'under names that PREPARE in SQL has taken': [
    prepared,
    sql('prepare own as select 1', 'prepare "Other" (int) as select $1'),
    batch(raw.parse('own', 'select 2'), ...run('own')),
    batch(...run('own')),
    batch(raw.parse('own', 'nonsense')),
    batch(raw.parse('free', "select 'free'"), raw.parse('own', 'select 2'), ...run('free')),
    batch(...run('free')),
    sql('begin', 'select 1/0'),
    batch(raw.parse('own', 'select 2')),
    batch(raw.parse('own', 'rollback')),
    sql('rollback'),
    batch(raw.parse('other', "select 'not Other'"), ...run('other')),
    batch(raw.parse('x', 'execute "S"'), raw.describeMessage('statement', 'x'), ...run('x')),
    batch(
      raw.closeMessage('statement', 'own'),
      raw.parse('own', "select 'by protocol'"),
      raw.describeMessage('statement', 'own'),
      ...run('own'),
    ),
    sql('execute own', 'prepare own as select 4', 'execute own'),
    sql('deallocate own; prepare own as select 5'),
    batch(raw.parse('own', 'select 6')),
    sql('discard all'),
    batch(raw.parse('own', 'select 7'), ...run('own')),
    sql('prepare own as select 8'),
  ],
  'sent ahead, under names that PREPARE in SQL takes': [
    [
      ...sql('prepare own as select 1'),
      ...batch(raw.parse('own', 'select 2'), ...run('own')),
      ...batch(...run('own')),
      ...sql('deallocate own'),
      ...batch(raw.parse('own', "select 'by protocol'"), ...run('own')),
      ...sql('prepare own as select 3', 'execute own'),
    ],
    batch(raw.parse('', 'prepare one as select 1'), ...run(''), raw.parse('one', 'select 2')),
    [
      ...batch(raw.parse('p', 'prepare two as select 1'), ...run('p')),
      ...batch(raw.parse('two', 'select 2'), ...run('two')),
      ...batch(...run('two')),
    ],
    [
      ...sql('begin; prepare three as select 1; rollback'),
      ...batch(raw.parse('three', 'select 2'), ...run('three')),
    ],
    [
      ...sql('select 1/0; prepare four as select 1'),
      ...batch(raw.parse('four', "select 'by protocol'"), ...run('four')),
    ],
    [...sql('discard all; prepare five as select 1'), ...batch(raw.parse('five', 'select 2'))],
    [...sql('prepare five as select 1'), ...batch(raw.parse('five', 'select 2'))],
    [...sql('discard all', 'prepare five as select 1'), ...batch(raw.parse('five', 'select 2'))],
    batch(raw.parse('six', 'select 2')),
    [
      ...sql('deallocate all'),
      ...batch(raw.parse('', 'prepare six as select 1'), ...run('')),
      ...batch(...run('six')),
    ],
  ],
  'under names that code has taken': [
    sql(
      `do $$begin
         perform pg_advisory_lock(5); execute 'pre' || 'pare own as select 1';
       end$$`,
    ),
    batch(raw.parse('own', 'select 2'), ...run('own')),
    batch(...run('own')),
    sql('discard all'),
    batch(raw.parse('own', 'select 2'), ...run('own')),
  ],
  'the unnamed statement, of one that comes behind it, under other settings': [
    batch(raw.parse('z', "set time zone 'UTC'"), raw.parse('', "execute n('4')"), ...run('')),
    batch(...run('z')),
    batch(raw.parse('n', 'select 7'), ...run('n'), ...run('')),
  ],
}

async function answers(client: RawClient, steps: readonly Step[]): Promise<string[][]> {
  const all: string[][] = []
  for (const step of steps) {
    await client.send(Buffer.concat(step))
    all.push((await client.untilReadies(readiesOf(step))).map(seen))
  }
  return all
}

const variants = [
  { name: 'on one server', poolSize: 1, serverPreparedStatementsMax: 500 },
  { name: 'on one that keeps few', poolSize: 1, serverPreparedStatementsMax: 1 },
]

describe.each(bothExtremes)('sent $name', ({ segmentation }) => {
  describe.each(variants)('$name', ({ poolSize, serverPreparedStatementsMax }) => {
    test.each(Object.keys(scripts))('%s', async (name) => {
      await start({ poolSize, config: { serverPreparedStatementsMax } })
      const steps = scripts[name] as readonly Step[]
      direct = await RawClient.loggedIn(pooled.direct())
      const wanted = await answers(direct, steps)
      const client = await pooled.client('transaction', { segmentation })
      const other = await pooled.client('transaction')
      const others = batch(raw.parse('s', "select 'upper'"), ...run('s'))
      await answers(other, [others])
      const got = await answers(client, steps)
      for (const [index, step] of steps.entries()) {
        expect(got[index], Buffer.concat(step).toString('latin1')).toEqual(wanted[index])
      }
      await client.terminate()
      expect((await answers(other, [batch(...run('s'))]))[0]).toContain(
        'D \x00\x01\x00\x00\x00\x05upper',
      )
    })
  })
})

test('a text too long to be kept is refused under a name that PREPARE in SQL has taken', async () => {
  await start()
  direct = await RawClient.loggedIn(pooled.direct())
  const client = await pooled.client('transaction')
  const long = `select 'long' /* ${'x'.repeat(300_000)} */`
  const steps = [
    sql('prepare own as select 1'),
    batch(raw.parse('own', long), ...run('own')),
    batch(...run('own')),
    batch(raw.parse('free', long), ...run('free')),
    sql('prepare free as select 1'),
  ]
  expect(await answers(client, steps)).toEqual(await answers(direct, steps))
})

test('a text that names a statement tells its columns on a server that has met neither', async () => {
  await start({ poolSize: 2 })
  const [client, blocker] = [await pooled.client('transaction'), await pooled.client('transaction')]
  await answers(client, [batch(raw.parse('s', "select 'upper'"))])
  // The client's own server is the one that was free last, and is taken first.
  await answers(blocker, [sql('begin')])
  for (const name of ['', 'outer']) {
    const step = batch(raw.parse(name, 'execute s'), raw.describeMessage('statement', name))
    expect((await answers(client, [step]))[0]).toEqual(['1 ', 't', 'T', 'Z I'])
  }
})

test('a text of thousands of names has the place of its error', async () => {
  await start()
  direct = await RawClient.loggedIn(pooled.direct())
  const client = await pooled.client('transaction')
  const steps = [
    batch(raw.parse('s', 'select')),
    sql(`${'execute s;'.repeat(20_000)}execute s(nope)`),
    batch(raw.parse('two', 'execute s; execute s'), ...run('two')),
  ]
  expect(await answers(client, steps)).toEqual(await answers(direct, steps))
})

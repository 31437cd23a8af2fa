// pgbench by each protocol, with connections that stay and with one for each transaction. It checks
// little itself, so the books are balanced afterwards.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pgbench } from '../support/pgbench.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { isProgramMissing, needsProgram } from '../support/program.ts'
import { Ways } from '../support/ways.ts'

const clients = 8
let ways: Ways
beforeAll(async () => {
  ways = await Ways.open(sharedPostgres(), { poolSize: clients })
  if (isProgramMissing('pgbench')) return
  for (const port of ['session', 'transaction'] as const) {
    const { exitCode } = await pgbench(ways.url(port), { args: ['--initialize', '--quiet'] })
    expect(exitCode, port).toBe(0)
  }
})
afterAll(() => ways.close())

async function books(): Promise<{ transactions: number; isBalanced: boolean }> {
  const sql = `
    select count(*)::int as transactions,
      coalesce((select sum(abalance) from pgbench_accounts) = sum(delta)
        and (select sum(bbalance) from pgbench_branches) = sum(delta)
        and (select sum(tbalance) from pgbench_tellers) = sum(delta), true) as "isBalanced"
    from pgbench_history`
  const [row] = await ways.pooled.postgres.query(sql, undefined, ways.pooled.database)
  return row as { transactions: number; isBalanced: boolean }
}

const ports = ['transaction', 'session'] as const
const protocols = ['simple', 'extended', 'prepared'] as const
const cases = ports.flatMap((port) => protocols.map((protocol) => [port, protocol] as const))

describe.each(cases)('%s port, %s protocol', (port, protocol) => {
  test.for([
    ['connections that stay', [], 200],
    ['a connection for each transaction', ['--connect'], 32],
  ] as const)('%s', async ([, extra, count], context) => {
    needsProgram(context, 'pgbench')
    const before = await books()
    const each = String(count / clients)
    const args = ['-c', String(clients), '-t', each, '-M', protocol, '-n', ...extra]
    const run = await pgbench(ways.url(port), { args })
    expect(run).toMatchObject({ exitCode: 0, transactions: count, failed: 0 })
    const after = await books()
    expect(after).toEqual({ transactions: before.transactions + count, isBalanced: true })
    await ways.pooled.settled()
  })
})

const pipelines = `\\set aid random(1, 100000)
\\set delta random(-5000, 5000)
\\startpipeline
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
update pgbench_branches set bbalance = bbalance + :delta where bid = 1;
update pgbench_tellers set tbalance = tbalance + :delta where tid = 1;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :aid, :delta, now());
end;
select abalance from pgbench_accounts where aid = :aid;
\\endpipeline
select 1;
\\startpipeline
select 2;
select 3;
\\endpipeline
`

test.for(cases.filter(([, protocol]) => protocol !== 'simple'))(
  '%s port, %s protocol, pipelines',
  async ([port, protocol], context) => {
    needsProgram(context, 'pgbench')
    const before = await books()
    const args = ['-c', String(clients), '-t', '20', '-M', protocol, '-n']
    const run = await pgbench(ways.url(port), { args, script: pipelines })
    expect(run).toMatchObject({ exitCode: 0, transactions: 160, failed: 0 })
    const after = await books()
    expect(after).toEqual({ transactions: before.transactions + 160, isBalanced: true })
  },
)

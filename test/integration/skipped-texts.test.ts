// A text that may leave something behind, and a Parse of another one under its name that fails or is skipped:
// what runs is the first one still, and what it leaves stays with its client.
import { afterEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const setting = "select set_config('app.note', 'mine', false)"
const probe = "select coalesce(current_setting('app.note', true), '')"
const run = (statement: string) => [raw.bind({ statement }), raw.execute(), raw.sync()]
const fail = raw.bind({ statement: 'none' })
const long = `select 1 /* ${'x'.repeat(300_000)} */`

const cases: Record<string, readonly (readonly Buffer[])[]> = {
  'a name that is taken': [
    [raw.parse('a', setting), raw.sync()],
    [raw.parse('a', 'select 1'), raw.sync()],
    run('a'),
  ],
  'a name in a batch that is skipped': [
    [raw.parse('a', setting), raw.sync()],
    [fail, raw.closeMessage('statement', 'a'), raw.parse('a', 'select 1'), raw.sync()],
    run('a'),
  ],
  'no name, in a batch that is skipped': [
    [raw.parse('', setting), raw.sync()],
    [fail, raw.parse('', 'select 1'), raw.sync()],
    run(''),
  ],
  'no name, in a Parse that is not read': [
    [raw.parse('', setting), raw.sync()],
    [raw.message('P', raw.cstring(''), raw.cstring('select 1')), raw.sync()],
    run(''),
  ],
  'no name, in a long text that is skipped': [
    [raw.parse('', setting), raw.sync()],
    [fail, raw.parse('', long), raw.sync()],
    run(''),
  ],
  'a name of SQL, run by Execute': [
    [raw.query(`prepare a as ${setting}`)],
    [raw.parse('', 'execute a'), ...run('')],
    [raw.query('deallocate a')],
  ],
  'a name of SQL, run by EXECUTE': [
    [raw.query(`prepare a as ${setting}`)],
    [raw.query('execute a')],
    [raw.query('deallocate a')],
  ],
  'a name of SQL, run by Bind': [
    [raw.query(`prepare a as ${setting}`)],
    run('a'),
    [raw.query('deallocate a')],
  ],
}

test.each(Object.entries(cases))('%s', async (_how, turns) => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
  const client = await pooled.client('transaction')
  for (const messages of turns) {
    await client.send(Buffer.concat(messages))
    await client.untilReady()
  }
  const other = await pooled.client('transaction')
  // It has the server that was used last, unless that is kept for its client.
  await pooled.value(other, 'begin')
  expect(await pooled.value(other, probe)).toBe('')
  expect(await pooled.value(client, probe)).toBe('mine')
})

import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { pgbench } from '../support/pgbench.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { needsProgram, runProgram } from '../support/program.ts'
import { openPsql, psql } from '../support/psql.ts'

test('psql gives rows, and exit code 3 with the SQLSTATE at the first error', async (context) => {
  needsProgram(context, 'psql')
  const url = sharedPostgres().url()
  const good = await psql(url, "SELECT 1, 'a|b';\n\\echo done")
  expect(good).toMatchObject({ exitCode: 0, stdout: '1|a|b\ndone\n', stderr: '' })
  const bad = await psql(url, 'SELECT 1/0;\nSELECT 2;')
  expect(bad.exitCode).toBe(3)
  expect(bad.stdout).toBe('')
  expect(bad.stderr).toContain('22012')
  const refused = await psql(url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')
  expect(refused.exitCode).toBe(2)
})

test('an open psql takes statements one by one, and SIGINT cancels the running one', async (context) => {
  needsProgram(context, 'psql')
  const shell = openPsql(sharedPostgres().url())
  shell.write('\\unset ON_ERROR_STOP\nSELECT 41 + 1;\n')
  await eventually(() => shell.stdout === '42\n')
  shell.write("\\echo asleep\nSELECT pg_sleep(600);\nSELECT 'still here';\n")
  const sleeping =
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
  await eventually(async () => (await sharedPostgres().query(sleeping))[0]?.n === 1)
  shell.kill('SIGINT')
  shell.endInput()
  const result = await shell.finished
  expect(result.stderr).toContain('57014')
  // Without a terminal psql may end at that error or go on; it must not hang.
  expect(result.isTimedOut).toBe(false)
})

test('pgbench counts its transactions, those of a script of ours too', async (context) => {
  needsProgram(context, 'pgbench')
  const url = sharedPostgres().url()
  const script = '\\set n random(1, 10)\nSELECT :n;\n'
  const args = ['--client', '4', '--jobs', '2', '--transactions', '25', '--protocol', 'prepared']
  const result = await pgbench(url, { script, args })
  expect(result).toMatchObject({ exitCode: 0, transactions: 100, failed: 0 })
  const broken = await pgbench(url, { script: 'SELECT 1/0;\n', args: ['--transactions', '1'] })
  expect(broken.exitCode).toBe(2)
})

test('a program that does not end in time is killed and says so', async () => {
  const result = await runProgram('sleep', ['600'], { timeoutMs: 50 })
  expect(result).toMatchObject({ exitCode: null, isTimedOut: true })
})

import { expect, test } from 'vitest'
import { sharedPostgres, startPostgres, uniqueName } from '../support/postgres.ts'

test('the shared Postgres is a Postgres 18 that asks for a SCRAM password', async () => {
  const postgres = sharedPostgres()
  const [version] = await postgres.query('SHOW server_version_num')
  expect(Number(version?.server_version_num)).toBeGreaterThanOrEqual(180_000)
  const role = uniqueName('role')
  await postgres.createRole(role, `it's a \\ secret`)
  const [row] = await postgres.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [role])
  expect(row?.rolpassword).toMatch(/^SCRAM-SHA-256\$/)
  await postgres.dropRole(role)
})

test('a server of its own keeps its data over a restart and takes settings and pg_hba lines', async () => {
  const postgres = await startPostgres({
    settings: { work_mem: '7MB' },
    hba: ['host all open all trust', 'host all all all scram-sha-256'],
  })
  try {
    await postgres.createRole('open', null)
    await postgres.query('CREATE TABLE kept AS SELECT 7 AS n')
    const portBefore = postgres.port
    await postgres.restart('immediate')
    expect(postgres.port).toBe(portBefore)
    expect(await postgres.query('SELECT n FROM kept')).toEqual([{ n: 7 }])
    expect(await postgres.query('SHOW work_mem')).toEqual([{ work_mem: '7MB' }])
  } finally {
    await postgres.stop()
  }
  await expect(postgres.query('SELECT 1')).rejects.toThrow('ECONNREFUSED')
})

// Somebody else's configuration on the command line, then a login through what it made.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MainProcess } from '../support/main-process.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestRole } from '../support/running-projects.ts'

const vaultKey = randomBytes(32).toString('hex')
let pooler: RunningPooler
let folder: string
let app: TestRole

beforeAll(async () => {
  pooler = await RunningPooler.start({ env: { VAULT_ENC_KEY: vaultKey } })
  app = await pooler.role('app')
  folder = await mkdtemp(join(tmpdir(), 'latchkey-import-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await pooler?.stop()
})

async function importing(...args: string[]): Promise<{ code: number | null; text: string }> {
  const env = {
    DATABASE_URL: pooler.metadataUrl,
    VAULT_ENC_KEY: vaultKey,
    API_JWT_SECRET: randomBytes(24).toString('hex'),
  }
  const main = new MainProcess({ env, args: ['import', ...args] })
  const { code } = await main.exited
  return { code, text: main.stdout + main.stderr }
}

async function canLogIn(ref: string): Promise<void> {
  const user = `${app.role}.${ref}`
  const login = { port: pooler.portOf(), user, password: app.password, database: null }
  const client = await RawClient.loggedIn(login)
  await client.query('select 1')
  await client.untilReady()
  client.close()
}

test('pgbouncer.ini with its auth_file: tried out, written, written again', async () => {
  const { host, port } = sharedPostgres()
  const ini = join(folder, 'pgbouncer.ini')
  await writeFile(
    ini,
    `[databases]
imported = host=${host} port=${port} dbname=postgres pool_size=3
* = host=${host}
[pgbouncer]
auth_file = userlist.txt
listen_port = 6432
server_tls_sslmode = disable
`,
  )
  await writeFile(join(folder, 'userlist.txt'), `"${app.role}" "${app.password}"\n`)
  const tried = await importing('pgbouncer', ini, '--dry-run')
  expect(tried).toMatchObject({ code: 0 })
  expect(tried.text).toContain('imported: would be made, 1 role\n')
  const made = await importing('pgbouncer', ini)
  expect(made.text).toContain('imported: made, 1 role\n')
  expect(made.text).toContain('*: no ref for a project')
  expect(made.text).toContain('PROXY_PORT_TRANSACTION=6432')
  expect(made.text).not.toContain(app.password)
  await canLogIn('imported')
  expect((await importing('pgbouncer', ini)).text).toContain('imported: changed, 1 role\n')
})

test('Supavisor’s tenants as its API gives them', async () => {
  const { host, port } = sharedPostgres()
  const file = join(folder, 'tenants.json')
  const users = [
    { db_user: app.role, db_password: app.password, mode_type: 'transaction', pool_size: 2 },
  ]
  const tenant = { db_host: host, db_port: port, db_database: 'postgres', require_user: true }
  const data = [
    { ...tenant, external_id: 'taken', users },
    { ...tenant, external_id: 'bare', users: [{ db_user: 'nobody', pool_size: 1 }] },
  ]
  await writeFile(file, JSON.stringify({ data }))
  const { code, text } = await importing('supavisor', file)
  expect(code).toBe(0)
  expect(text).toContain('taken: made, 1 role')
  expect(text).toContain("bare: left out: users.0.db_password can't be blank")
  await canLogIn('taken')
})

test.each([
  ['a file that is not there', ['pgbouncer', '/nowhere/pgbouncer.ini'], 1, 'ENOENT'],
  ['another program', ['haproxy', 'file'], 2, 'usage:'],
  ['nothing', [], 2, 'usage:'],
])('%s is told in one line', async (_name, args, code, words) => {
  const answer = await importing(...args)
  expect(answer.code).toBe(code)
  expect(answer.text).toContain(words)
})

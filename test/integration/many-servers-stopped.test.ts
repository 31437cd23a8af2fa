// More servers of one project have to be stopped at once than it may have connections for that.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import type { LoginResult } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { typesOf } from '../support/raw-replies.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestProject } from '../support/running-projects.ts'

const many = 60
let pooler: RunningPooler
let project: TestProject
const clients: { readonly client: RawClient; readonly login: LoginResult }[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())
beforeEach(async () => {
  project = await pooler.project()
  const users = [{ db_user: project.app.role, pool_size: many }]
  await pooler.api('PUT', `/api/tenants/${project.ref}`, 'api', { tenant: { users } })
  await eventually(() => {
    const tenant = pooler.pooler.control.tenantCache.peek(project.ref)
    return tenant === null || tenant.roles.get(project.app.role)?.poolSize === many
  })
  await Promise.all(Array.from({ length: many }, enter))
  await Promise.all(clients.map(({ client }) => client.query('select pg_sleep(120)')))
  await eventually(async () => (await running()) === many)
})
afterEach(async () => {
  for (const { client } of clients.splice(0)) client.close()
  await eventually(async () => (await running()) === 0)
})

async function enter(): Promise<void> {
  const client = await pooler.raw({ mode: 'transaction' })
  const { ref, database, app } = project
  const login = await client.login({
    user: `${app.role}.${ref}`,
    password: app.password,
    database,
  })
  clients.push({ client, login })
}

async function running(): Promise<number> {
  const [row] = await sharedPostgres().query(
    `select count(*)::int as n from pg_stat_activity
     where usename = $1 and state = 'active' and query like '%pg_sleep%'`,
    [project.app.role],
  )
  return Number(row?.n)
}

test('cancel requests of all clients end all queries', async () => {
  const port = pooler.portOf('transaction')
  const canceling = await Promise.all(clients.map(() => RawClient.connect({ port })))
  await Promise.all(
    clients.map(({ login }, index) =>
      canceling[index]?.send(raw.cancelRequest(login.processId, login.secret)),
    ),
  )
  const answers = await Promise.all(clients.map(({ client }) => client.untilReady()))
  expect(new Set(answers.map(typesOf))).toEqual(new Set(['TEZ']))
  for (const one of canceling) one.close()
})

test.each([
  [
    'of clients that are gone',
    () => {
      for (const { client } of clients) client.reset()
    },
  ],
  [
    'of a project whose connections an operator ends',
    () => pooler.api('POST', `/api/tenants/${project.ref}/terminate`, 'api'),
  ],
  [
    'of a project that is deleted',
    () => pooler.api('DELETE', `/api/tenants/${project.ref}`, 'api'),
  ],
])('nothing %s runs on', async (_name, end) => {
  await end()
  await eventually(async () => (await running()) === 0)
})

// Two changes of one tenant at once: what the one does not name, it does not take back.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiSetup, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
/** Done while the place of a PUT is checked, which is behind its look at what is stored. */
let meanwhile: (() => Promise<unknown>) | null = null
let count = 0

beforeAll(async () => {
  const upstreamFault = async (): Promise<null> => {
    const act = meanwhile
    meanwhile = null
    await act?.()
    return null
  }
  api = await setUpApi({}, { upstreamFault })
})
afterAll(() => api.close())

const upstream = { db_host: 'db.example.com', db_port: 5432, db_database: 'postgres' }
const app = { db_user: 'app', db_password: 'the password of app' }
const manager = { db_user: 'manager', db_password: 'of the manager', is_manager: true }
const byQuery = { ...upstream, require_user: false, users: [manager] }

async function ask(method: 'GET' | 'PUT' | 'POST', path: string, payload?: object) {
  const url = `/api/tenants/${path}`
  const answer = await api.ask(await api.apiJwt(), { method, url, ...(payload && { payload }) })
  return answer.statusCode
}

async function makeTenant(tenant: object): Promise<string> {
  const ref = `together-${++count}`
  expect(await ask('PUT', ref, { tenant })).toBe(201)
  return ref
}

async function rolesOf(ref: string) {
  const details = await api.deps.tenants.findDetails(ref)
  return details?.users.map(({ dbUser, isManager, hasPassword }) => [
    dbUser,
    isManager,
    hasPassword,
  ])
}

test('a PUT that names no users leaves those of another PUT', async () => {
  const ref = await makeTenant({ ...upstream, users: [app] })
  const other = { db_user: 'other', db_password: 'the password of other' }
  meanwhile = () => ask('PUT', ref, { tenant: { db_host: 'elsewhere.example', users: [other] } })
  expect(await ask('PUT', ref, { tenant: { default_pool_size: 3 } })).toBe(200)
  expect(await rolesOf(ref)).toEqual([['other', false, true]])
  const tenant = await api.deps.tenants.findByRef(ref)
  expect(tenant).toMatchObject({ defaultPoolSize: 3, dbHost: 'elsewhere.example' })
})

test('a PUT that names no users leaves the manager that has come', async () => {
  const ref = await makeTenant(byQuery)
  const next = { db_user: 'next', db_password: 'of the next' }
  meanwhile = () => ask('POST', `${ref}/update_auth_credentials`, next)
  expect(await ask('PUT', ref, { tenant: { default_pool_size: 3 } })).toBe(200)
  expect(await rolesOf(ref)).toEqual([['next', true, true]])
})

test('a PUT and new credentials of the manager wait for each other', async () => {
  const ref = await makeTenant(byQuery)
  for (let round = 0; round < 20; round++) {
    const db_user = `manager_${round}`
    const credentials = { db_user, db_password: 'of this round' }
    const answers = await Promise.all([
      ask('POST', `${ref}/update_auth_credentials`, credentials),
      ask('PUT', ref, { tenant: { default_pool_size: 10 + round } }),
    ])
    expect(answers).toEqual([204, 200])
    expect(await rolesOf(ref)).toEqual([[db_user, true, true]])
  }
})

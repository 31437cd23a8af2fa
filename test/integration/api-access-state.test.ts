import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let ref: string
let owner: Person

beforeAll(async () => {
  api = await setUpApi()
})
afterAll(() => api.close())
beforeEach(async () => {
  api.world.serverVersionNum = 180_000
  ref = await api.project({ useJit: false })
  owner = await api.person({ [ref]: 'owner' })
})

const ask = (path: string, payload?: object) =>
  api.ask(owner.token, {
    method: payload === undefined ? 'GET' : 'PUT',
    url: `/v1/projects/${ref}${path}`,
    ...(payload !== undefined && { payload }),
  })
const enforceSsl = (database: boolean) => ask('/ssl-enforcement', { requestedConfig: { database } })

describe.each(['/jit-access', '/database/jit-access'])('state at %s', (path) => {
  test('is off at first, goes on and off, and each change is recorded once', async () => {
    expect((await ask(path)).json()).toEqual({ state: 'disabled' })
    const on = await ask(path, { state: 'enabled' })
    expect(on.json()).toEqual({ state: 'enabled', appliedSuccessfully: true })
    expect((await ask(path)).json()).toEqual({ state: 'enabled' })
    const count = api.world.events.length
    await ask(path, { state: 'enabled' })
    expect(api.world.events.length).toBe(count)
    const off = await ask(path, { state: 'disabled' })
    expect(off.json()).toEqual({ state: 'disabled', appliedSuccessfully: true })
    expect(api.world.lastEvent('state_changed')?.details).toEqual({ state: 'disabled' })
  })

  test.each([
    ['postgres_upgrade_required', 160_009],
    ['temporarily_unavailable', 'unreachable'],
  ] as const)('is unavailable with %s, and PUT is 409 and changes nothing', async (reason, num) => {
    api.world.serverVersionNum = num
    const unavailable = { state: 'unavailable', unavailableReason: reason }
    expect((await ask(path)).json()).toEqual(unavailable)
    const answer = await ask(path, { state: 'enabled' })
    expect(answer.statusCode).toBe(409)
    expect(answer.json()).toEqual({ message: expect.any(String), ...unavailable })
    expect((await api.deps.tenants.findByRef(ref))?.useJit).toBe(false)
  })

  test('needs TLS to be enforced', async () => {
    await enforceSsl(false)
    const unavailable = { state: 'unavailable', unavailableReason: 'ssl_enforcement_required' }
    expect((await ask(path)).json()).toEqual(unavailable)
    expect((await ask(path, { state: 'enabled' })).json()).toMatchObject(unavailable)
    await enforceSsl(true)
    expect((await ask(path, { state: 'enabled' })).statusCode).toBe(200)
  })

  test('that is on stays on while the database cannot be reached', async () => {
    await ask(path, { state: 'enabled' })
    api.world.serverVersionNum = 'unreachable'
    expect((await ask(path)).json()).toEqual({ state: 'enabled' })
  })

  test('that is neither is 400', async () => {
    expect((await ask(path, { state: 'unavailable' })).statusCode).toBe(400)
    expect((await ask(path, {})).json().message).toContain('state')
  })
})

test('disabling keeps every rule and enabling restores them', async () => {
  api.world.addRole('app')
  await ask('/jit-access', { state: 'enabled' })
  await ask('/database/jit', { user_id: owner.userId, roles: [{ role: 'app' }] })
  await ask('/jit-access', { state: 'disabled' })
  expect((await ask('/database/jit')).json().user_roles).toEqual([{ role: 'app' }])
  await ask('/jit-access', { state: 'enabled' })
  expect((await ask('/database/jit')).json().user_roles).toEqual([{ role: 'app' }])
})

test('TLS enforcement cannot end while temporary access is enabled', async () => {
  await ask('/jit-access', { state: 'enabled' })
  const answer = await enforceSsl(false)
  expect(answer.statusCode).toBe(409)
  expect((await ask('/ssl-enforcement')).json()).toEqual({
    currentConfig: { database: true },
    appliedSuccessfully: true,
  })
  await ask('/jit-access', { state: 'disabled' })
  expect((await enforceSsl(false)).json()).toEqual({
    currentConfig: { database: false },
    appliedSuccessfully: true,
  })
})

test('temporary access does not go on where TLS was given up while the database was asked', async () => {
  const slow = await setUpApi(
    {},
    {
      databaseFacts: async ({ ref: asked }) => {
        await slow.deps.tenants.setEnforceSsl(asked, false)
        return { serverVersionNum: 180_000 }
      },
    },
  )
  try {
    const project = await slow.project({ useJit: false })
    const { token } = await slow.person({ [project]: 'owner' })
    const url = `/v1/projects/${project}/jit-access`
    const answer = await slow.ask(token, { method: 'PUT', url, payload: { state: 'enabled' } })
    const unavailableReason = 'ssl_enforcement_required'
    expect(answer.statusCode).toBe(409)
    expect(answer.json()).toMatchObject({ state: 'unavailable', unavailableReason })
    expect(await slow.deps.tenants.findByRef(project)).toMatchObject({ useJit: false })
  } finally {
    await slow.close()
  }
})

test("a branch shows its parent's state and is not the place to change it", async () => {
  await ask('/jit-access', { state: 'enabled' })
  const branch = await api.project({ parentRef: ref, useJit: false })
  const url = `/v1/projects/${branch}/jit-access`
  expect((await api.ask(owner.token, { url })).json()).toEqual({ state: 'enabled' })
  const answer = await api.ask(owner.token, { method: 'PUT', url, payload: { state: 'disabled' } })
  expect(answer.statusCode).toBe(409)
  expect(answer.json()).toMatchObject({ parent_project_ref: ref })
})

test('a pooler whose clients cannot have TLS says that it is the platform', async () => {
  const plain = await setUpApi({ canTakeTokens: false })
  try {
    const project = await plain.project({ useJit: false })
    const person = await plain.person({ [project]: 'owner' })
    const answer = await plain.ask(person.token, { url: `/v1/projects/${project}/jit-access` })
    expect(answer.json()).toEqual({
      state: 'unavailable',
      unavailableReason: 'platform_unsupported',
    })
  } finally {
    await plain.close()
  }
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../shared/secret.ts'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let ref: string
let owner: Person
let operator: Person

beforeAll(async () => {
  api = await setUpApi()
  api.world.addRole('app')
})
afterAll(() => api.close())
beforeEach(async () => {
  ref = await api.project({
    upstreamTls: 'require',
    jitUpstream: 'token',
    users: [{ dbUser: 'app', dbPassword: new Secret('app password'), poolSize: 3 }],
  })
  owner = await api.person({ [ref]: 'owner' })
  operator = await api.person({ [ref]: 'owner' })
  const { email } = (await api.deps.members.find(operator.userId))!
  await api.deps.members.put(operator.userId, { email, name: 'Op', isOperator: true })
})

const create = (payload: object, by = owner, of = ref) =>
  api.ask(by.token, { method: 'POST', url: `/v1/projects/${of}/branches`, payload })
const list = (of = ref) => api.ask(owner.token, { url: `/v1/projects/${of}/branches` })
const remove = (id: string, of = ref) =>
  api.ask(owner.token, { method: 'DELETE', url: `/v1/projects/${of}/branches/${id}` })

async function made(payload: object, by = owner): Promise<{ id: string; project_ref: string }> {
  const answer = await create(payload, by)
  expect(answer.statusCode, answer.body).toBe(201)
  return answer.json()
}

describe('a branch', () => {
  test('is made, listed and removed, each an event of the parent', async () => {
    const answer = await create({ branch_name: 'preview' })
    expect(answer.statusCode).toBe(201)
    const branch = answer.json()
    expect(branch).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'preview',
      project_ref: expect.stringMatching(/^[a-z]{20}$/),
      parent_project_ref: ref,
      is_default: false,
      created_at: expect.any(String),
    })
    expect((await list()).json()).toEqual([branch])
    expect(api.world.lastEvent('branch_created')).toMatchObject({
      ref,
      actor: owner.userId,
      details: { branch: branch.project_ref, name: 'preview' },
    })
    expect((await remove(branch.id)).statusCode).toBe(200)
    expect((await remove(branch.id)).statusCode).toBe(404)
    expect((await list()).json()).toEqual([])
    expect(await api.deps.tenants.findByRef(branch.project_ref)).toBeNull()
    expect(api.world.lastEvent('branch_removed')?.details).toMatchObject({ name: 'preview' })
  })

  test('has what was left out from its parent, passwords and pool sizes included', async () => {
    const { project_ref } = await made({ name: 'preview', db_database: 'preview' })
    const branch = await api.deps.tenants.findByRef(project_ref)
    const parent = await api.deps.tenants.findByRef(ref)
    expect(branch).toMatchObject({
      parentRef: ref,
      dbHost: parent?.dbHost,
      dbPort: parent?.dbPort,
      dbDatabase: 'preview',
      upstreamTls: 'require',
      enforceSsl: true,
      jitUpstream: 'token',
      useJit: true,
    })
    expect(branch?.roles.get('app')?.password?.reveal()).toBe('app password')
    expect(branch?.roles.get('app')?.poolSize).toBe(3)
  })

  test('at another host or port gets none of the parent’s secrets, and only from an operator', async () => {
    const places = [{ db_host: 'other.example.com' }, { db_port: 6000 }]
    for (const place of places) {
      expect((await create({ name: 'x', ...place })).statusCode).toBe(403)
      const without = await create({ name: 'x', ...place }, operator)
      expect(without.statusCode).toBe(400)
      expect(without.json().message).toContain('users')
      const users = [{ db_user: 'app', db_password: 'its own' }]
      const { id, project_ref } = await made({ name: 'x', ...place, users }, operator)
      const branch = await api.deps.tenants.findByRef(project_ref)
      expect([...(branch?.roles.values() ?? [])].map((one) => one.password?.reveal())).toEqual([
        'its own',
      ])
      expect(branch?.jitUpstream).toBe('stored')
      await remove(id)
    }
    const same = await create({ name: 'same', db_host: 'DB.example.com', db_port: 5432 })
    expect(same.statusCode).toBe(201)
  })

  test('of a scoped token stays at its parent’s upstream, operator or not', async () => {
    const token = await api.deps.tokens.create({
      userId: operator.userId,
      name: 'x',
      scope: {
        permissions: ['project_admin_write'],
        projects: null,
        roles: null,
        networks: null,
      },
    })
    const by = { ...operator, token: token.token.reveal() }
    expect((await create({ name: 'a', db_port: 6000 }, by)).statusCode).toBe(403)
    expect((await create({ name: 'a' }, by)).statusCode).toBe(201)
  })

  test('has users of its own where they are given, and no query for others', async () => {
    const users = [{ db_user: 'app', db_password: 'its own' }]
    const { project_ref } = await made({ name: 'x', users })
    const branch = await api.deps.tenants.findByRef(project_ref)
    expect(branch?.roles.get('app')?.password?.reveal()).toBe('its own')
    expect(branch?.requireUser).toBe(true)
    const twice = await create({ name: 'y', users: [...users, ...users] })
    expect(twice.statusCode).toBe(400)
  })

  test.each([
    ['at an address that is never dialled', { db_host: '169.254.169.254' }],
    ['at an address of ours', { db_host: 'pooler.internal' }],
    ['with a host that is none', { db_host: 'a b' }],
    ['with a mistyped key', { db_hst: 'x' }],
    ['with two names', { branch_name: 'y' }],
  ])('%s is 400', async (_what, fields) => {
    api.world.upstreamFaults.set('pooler.internal', 'host is an address of this pooler')
    const users = [{ db_user: 'app', db_password: 'x' }]
    expect((await create({ name: 'x', users, ...fields }, operator)).statusCode).toBe(400)
  })

  test('has a name that none of its siblings has', async () => {
    await made({ name: 'preview' })
    expect((await create({ name: 'preview' })).statusCode).toBe(409)
    expect((await create({})).statusCode).toBe(400)
  })

  test('is one of fifty at the most', async () => {
    const names = Array.from({ length: 50 }, (_, at) => `branch ${at}`)
    for (const name of names) await made({ name })
    const answer = await create({ name: 'one more' }, operator)
    expect([answer.statusCode, answer.json().message]).toEqual([
      409,
      expect.stringContaining('50 branches'),
    ])
  })

  test('goes with its parent', async () => {
    const { project_ref } = await made({ name: 'x' })
    await api.ask(await api.apiJwt(), { method: 'DELETE', url: `/api/tenants/${ref}` })
    expect(await api.deps.tenants.findByRef(project_ref)).toBeNull()
  })

  test('of another project is not there', async () => {
    const other = await api.project()
    await api.deps.members.putMembership(other, owner.userId, 'owner', 'operator')
    const { id, project_ref } = await made({ name: 'x' })
    expect((await remove(id, other)).statusCode).toBe(404)
    expect((await remove(project_ref, other)).statusCode).toBe(404)
    expect((await remove(other)).statusCode).toBe(404)
    expect((await remove(project_ref)).statusCode).toBe(200)
  })

  test('is made and removed by those who may write, and seen by members', async () => {
    const developer = await api.person({ [ref]: 'developer' })
    const refused = await create({ name: 'x' }, developer)
    expect(refused.json().missing_permissions).toEqual(['project_admin_write'])
    const url = `/v1/projects/${ref}/branches`
    expect((await api.ask(developer.token, { url })).statusCode).toBe(200)
    const guest = await api.person({ [ref]: 'guest' })
    expect((await api.ask(guest.token, { url })).statusCode).toBe(403)
  })
})

describe('what holds for a branch', () => {
  test('is read there and changed on the parent alone', async () => {
    const { project_ref: branch, id } = await made({ name: 'preview' })
    await api.ask(owner.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/database/jit`,
      payload: { user_id: owner.userId, roles: [{ role: 'app' }] },
    })
    const paths = [
      '/jit-access',
      '/ssl-enforcement',
      '/branches',
      '/members',
      `/members/${owner.userId}`,
      '/database/jit',
      '/database/jit/list',
      '/database/jit/roles',
      `/database/jit/${owner.userId}`,
    ]
    for (const path of paths) {
      const [there, here] = await Promise.all(
        [branch, ref].map((of) => api.ask(owner.token, { url: `/v1/projects/${of}${path}` })),
      )
      expect(there?.statusCode, path).toBe(200)
      expect(there?.json(), path).toEqual(here?.json())
    }
    const changes = [
      ['PUT', '/jit-access', { state: 'disabled' }],
      ['PUT', '/database/jit-access', { state: 'disabled' }],
      ['PUT', '/ssl-enforcement', { requestedConfig: { database: true } }],
      ['PUT', '/database/jit', { user_id: owner.userId, roles: [] }],
      ['DELETE', `/database/jit/${owner.userId}`, undefined],
      ['PUT', `/members/${owner.userId}`, { role: 'owner' }],
      ['DELETE', `/members/${owner.userId}`, undefined],
      ['POST', '/branches', { name: 'nested' }],
      ['DELETE', `/branches/${id}`, undefined],
    ] as const
    for (const [method, path, payload] of changes) {
      const url = `/v1/projects/${branch}${path}`
      const answer = await api.ask(owner.token, { method, url, ...(payload && { payload }) })
      expect(answer.statusCode, `${method} ${path}`).toBe(409)
      expect(answer.json().parent_project_ref).toBe(ref)
    }
  })

  test('is the parent’s TLS enforcement too', async () => {
    const { project_ref: branch } = await made({ name: 'preview' })
    await api.deps.tenants.setJit(ref, false)
    await api.ask(owner.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/ssl-enforcement`,
      payload: { requestedConfig: { database: false } },
    })
    expect((await api.deps.tenants.findByRef(branch))?.enforceSsl).toBe(false)
  })

  test('is its own for logins: a rule for branches only opens it and not the parent', async () => {
    const { project_ref: branch } = await made({ name: 'preview' })
    await api.ask(owner.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/database/jit`,
      payload: { user_id: owner.userId, roles: [{ role: 'app', branches_only: true }] },
    })
    const ask = (of: string) =>
      api.ask(owner.token, {
        method: 'POST',
        url: `/v1/projects/${of}/database/jit`,
        payload: { role: 'app', rhost: '203.0.113.9' },
      })
    expect((await ask(branch)).statusCode).toBe(200)
    expect((await ask(ref)).json()).toMatchObject({ reason: 'branches_only' })
    expect(api.world.events.filter((one) => one.action === 'asked').map((one) => one.ref)).toEqual(
      expect.arrayContaining([branch, ref]),
    )
  })
})

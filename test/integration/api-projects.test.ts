import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let operator: Person

beforeAll(async () => {
  api = await setUpApi()
  api.world.addRole('app')
  api.world.upstreamFaults.set('pooler.internal', 'host is an address of this pooler')
})
afterAll(() => api.close())
beforeEach(async () => {
  operator = await api.person()
  const { email } = (await api.deps.members.find(operator.userId))!
  await api.deps.members.put(operator.userId, { email, name: 'Op', isOperator: true })
})

const body = {
  name: 'Shop',
  db_host: 'db.example.com',
  db_port: 5433,
  db_database: 'shop',
  users: [{ db_user: 'app', db_password: 'secret of app' }],
}
const create = (by: string, payload: object) =>
  api.ask(by, { method: 'POST', url: '/v1/projects', payload })

describe('POST of a project', () => {
  test('makes one that enforces TLS and belongs to the operator who made it', async () => {
    const answer = await create(operator.token, body)
    expect(answer.statusCode).toBe(201)
    const { ref } = answer.json()
    expect(answer.json()).toEqual({
      id: ref,
      ref: expect.stringMatching(/^[a-z]{20}$/),
      name: 'Shop',
      created_at: expect.any(String),
      status: 'ACTIVE_HEALTHY',
    })
    expect(answer.body).not.toContain('secret of app')
    const tenant = await api.deps.tenants.findByRef(ref)
    expect(tenant).toMatchObject({ dbPort: 5433, enforceSsl: true, useJit: false })
    expect(tenant?.roles.get('app')?.password?.reveal()).toBe('secret of app')
    const projects = (await api.ask(operator.token, { url: '/v1/projects' })).json()
    expect(projects).toEqual([expect.objectContaining({ ref, role: 'owner' })])
    expect(api.world.lastEvent('tenant_put')).toMatchObject({ ref, actor: operator.userId })
    expect(JSON.stringify(api.world.events)).not.toContain('secret of app')
  })

  test('is for operators, with a token that has no scope', async () => {
    const person = await api.person()
    expect((await create(person.token, body)).statusCode).toBe(403)
    const { token } = await api.deps.tokens.create({
      userId: operator.userId,
      name: 'x',
      scope: { permissions: ['project_admin_write'], projects: null, roles: null, networks: null },
    })
    expect((await create(token.reveal(), body)).statusCode).toBe(403)
  })

  test.each([
    ['without a host', { db_host: undefined }, 'db_host'],
    ['at a link-local address', { db_host: '169.254.169.254' }, 'db_host'],
    ['at an address of ours', { db_host: 'pooler.internal' }, 'db_host'],
    ['with a user without password', { users: [{ db_user: 'app' }] }, 'db_password'],
    ['with a port that is none', { db_port: 70_000 }, 'db_port'],
    ['with a mistyped key', { db_hots: 'x' }, 'db_hots'],
    ['with an outside authoriser', { jit_api_url: 'https://a.example' }, 'jit_api_url'],
    ['without a name', { name: ' ' }, 'name'],
  ])('%s is 400 and names the field', async (_what, fields, field) => {
    const answer = await create(operator.token, { ...body, ...fields })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain(field)
  })

  test('an address of ours is refused by /api/tenants as well', async () => {
    const answer = await api.ask(await api.apiJwt(), {
      method: 'PUT',
      url: '/api/tenants/circle',
      payload: { tenant: { ...body, db_host: 'pooler.internal' } },
    })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors.db_host).toEqual([expect.stringContaining('this pooler')])
  })
})

describe('the access of a person', () => {
  test('is told over all projects and branches, with strings to paste and no token in them', async () => {
    const ref = await api.project({ dbDatabase: 'my shop' })
    const second = await api.project({ useJit: false })
    const branch = await api.project({ parentRef: ref, dbDatabase: 'preview' })
    const owner = await api.person({ [ref]: 'owner', [second]: 'owner' })
    const expires_at = Math.floor(api.clock.wallMs() / 1000) + 3600
    await api.deps.rules.replaceForMember(ref, owner.userId, [
      ruleFor('app', { expiresAtMs: expires_at * 1000, networksV4: ['203.0.113.0/24'] }),
      ruleFor('my role', { branchesOnly: true }),
    ])
    await api.deps.rules.replaceForMember(second, owner.userId, [ruleFor('app')])
    const { items } = (await api.ask(owner.token, { url: '/v1/profile/access' })).json()
    expect(items).toHaveLength(5)
    const of = (project: string, role: string) =>
      items.find(
        (item: { project: { ref: string }; role: string }) =>
          item.project.ref === project && item.role === role,
      )
    expect(of(ref, 'app')).toEqual({
      role: 'app',
      expires_at,
      allowed_networks: { allowed_cidrs: [{ cidr: '203.0.113.0/24' }] },
      project: { ref, name: ref, parent_project_ref: null, state: 'enabled' },
      is_active: true,
      connection_strings: {
        transaction: `postgres://app.${ref}@pooler.example.com:6543/my%20shop?sslmode=require&options=-c%20jit%3Don`,
        session: `postgres://app.${ref}@pooler.example.com:5432/my%20shop?sslmode=require&options=-c%20jit%3Don`,
        direct: `postgres://app@db.${ref}.pooler.example.com:5432/my%20shop?sslmode=require`,
      },
    })
    expect(of(ref, 'my role')).toMatchObject({ is_active: false, branches_only: true })
    expect(of(branch, 'my role')).toMatchObject({
      is_active: true,
      project: { parent_project_ref: ref },
      connection_strings: { direct: expect.stringContaining('my%20role@db.') },
    })
    expect(of(second, 'app')).toMatchObject({ is_active: false, project: { state: 'disabled' } })
    api.clock.advance(3_600_000)
    const later = (await api.ask(owner.token, { url: '/v1/profile/access' })).json().items
    expect(later.filter((item: { is_active: boolean }) => item.is_active)).toHaveLength(1)
    expect(await scopedItems(owner, { projects: [branch] })).toHaveLength(2)
    expect(await scopedItems(owner, { projects: [ref], roles: ['app'] })).toHaveLength(2)
    expect(await scopedItems(owner, { permissions: ['project_admin_read'] })).toBe(403)
  })
})

async function scopedItems(owner: Person, scope: object): Promise<unknown[] | number> {
  const { token } = await api.deps.tokens.create({
    userId: owner.userId,
    name: 'x',
    scope: {
      permissions: ['database_jit_read'],
      projects: null,
      roles: null,
      networks: null,
      ...scope,
    },
  })
  const answer = await api.ask(token.reveal(), { url: '/v1/profile/access' })
  return answer.statusCode === 200 ? answer.json().items : answer.statusCode
}

const ruleFor = (role: string, changes: object = {}) => ({
  role,
  expiresAtMs: null,
  networksV4: [],
  networksV6: [],
  branchesOnly: false,
  ...changes,
})

describe('network bans', () => {
  test('are seen by members and lifted by those who may write', async () => {
    const ref = await api.project()
    const owner = await api.person({ [ref]: 'owner' })
    const developer = await api.person({ [ref]: 'developer' })
    const untilMs = api.clock.wallMs() + 60_000
    const sources = ['203.0.113.9', '198.51.100.1', '127.0.0.1', '2001:db8::/64']
    api.world.blocked.set(
      ref,
      sources.map((source) => ({ source, untilMs })),
    )
    const url = `/v1/projects/${ref}/network-bans`
    const retrieve = () => api.ask(developer.token, { method: 'POST', url: `${url}/retrieve` })
    const seen = await retrieve()
    expect(seen.statusCode).toBe(201)
    expect(seen.json()).toEqual({
      banned_ipv4_addresses: ['203.0.113.9', '198.51.100.1', '127.0.0.1'],
      banned_ipv6_addresses: ['2001:db8::/64'],
    })
    const lift = (by: Person, payload: object) =>
      api.ask(by.token, { method: 'DELETE', url, payload })
    expect((await lift(developer, { ipv4_addresses: ['203.0.113.9'] })).statusCode).toBe(403)
    expect((await lift(owner, { ipv4_addresses: ['203.0.113.9'] })).statusCode).toBe(200)
    expect((await lift(owner, { ipv6_addresses: ['2001:db8::/64'] })).statusCode).toBe(200)
    expect((await lift(owner, { ipv4_addresses: [], requester_ip: true })).statusCode).toBe(200)
    expect((await retrieve()).json()).toEqual({
      banned_ipv4_addresses: ['198.51.100.1'],
      banned_ipv6_addresses: [],
    })
    expect((await lift(owner, {})).statusCode).toBe(400)
    expect(api.world.lastEvent('network_bans_lifted')).toMatchObject({
      ref,
      details: { sources: ['127.0.0.1'] },
    })
  })
})

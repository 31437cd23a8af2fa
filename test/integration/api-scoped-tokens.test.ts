import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let ref: string
let other: string
let owner: Person

beforeAll(async () => {
  api = await setUpApi()
  api.world.addRole('app')
})
afterAll(() => api.close())
beforeEach(async () => {
  ref = await api.project()
  other = await api.project()
  owner = await api.person({ [ref]: 'owner', [other]: 'developer' })
})

const create = (by: string, payload: object) =>
  api.ask(by, { method: 'POST', url: '/v1/access-tokens', payload: { name: 'ci', ...payload } })

async function scoped(scope: object): Promise<string> {
  const made = await create(owner.token, scope)
  expect(made.statusCode).toBe(201)
  return made.json().token
}

const get = (token: string, path: string, of = ref) =>
  api.ask(token, { url: `/v1/projects/${of}${path}` })

const everything = [
  'project_admin_read',
  'project_admin_write',
  'database_jit_read',
  'database_jit_write',
]

describe('a scoped token', () => {
  test('is told by its prefix, shown once, and listed with its scope', async () => {
    const scope = {
      permissions: ['database_jit_read'],
      projects: [ref],
      roles: ['app'],
      networks: ['203.0.113.0/24', '2001:db8::/32'],
    }
    const expires_at = Math.floor(api.clock.wallMs() / 1000) + 365 * 86_400
    const made = await create(owner.token, { ...scope, expires_at })
    expect(made.statusCode).toBe(201)
    const { token, ...known } = made.json()
    expect(token).toMatch(/^sbp_fc[0-9a-f]{40}$/)
    expect(known).toMatchObject({ ...scope, name: 'ci', expires_at, last_used_at: null })
    const list = await api.ask(owner.token, { url: '/v1/access-tokens' })
    expect(list.json()).toContainEqual(known)
    expect(list.body).not.toContain(token)
    expect(list.json()).toContainEqual(
      expect.objectContaining({ id: owner.tokenId, permissions: null, projects: null }),
    )
    expect(api.world.lastEvent('token_created')?.details).toMatchObject(scope)
    expect(JSON.stringify(api.world.events)).not.toContain(token)
  })

  test('may do what its permissions name, and the refusal names what it lacks', async () => {
    const token = await scoped({ permissions: ['project_admin_read'] })
    expect((await get(token, '/members')).statusCode).toBe(200)
    const refused = await api.ask(token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/jit-access`,
      payload: { state: 'disabled' },
    })
    expect(refused.statusCode).toBe(403)
    expect(refused.json().missing_permissions).toEqual(['project_admin_write'])
    expect((await get(token, '/database/jit/list')).json().missing_permissions).toEqual([
      'database_jit_write',
    ])
    expect((await get(token, '/database/jit')).json().missing_permissions).toEqual([
      'database_jit_read',
    ])
  })

  test('never has more than its owner has at that moment', async () => {
    const token = await scoped({ permissions: everything })
    expect((await get(token, '/database/jit/list')).statusCode).toBe(200)
    expect((await get(token, '/database/jit/list', other)).statusCode).toBe(403)
    const second = await api.person({ [ref]: 'owner' })
    await api.ask(second.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/members/${owner.userId}`,
      payload: { role: 'guest' },
    })
    expect((await get(token, '/database/jit/list')).statusCode).toBe(403)
    expect((await get(token, '/members')).statusCode).toBe(403)
    await api.ask(second.token, {
      method: 'DELETE',
      url: `/v1/projects/${ref}/members/${owner.userId}`,
    })
    expect((await get(token, '/database/jit')).statusCode).toBe(404)
  })

  test('has nothing to do with other projects, and covers branches of its own, later ones too', async () => {
    const token = await scoped({ permissions: everything, projects: [ref] })
    const branch = await api.project({ parentRef: ref })
    expect((await get(token, '/members')).statusCode).toBe(200)
    expect((await get(token, '/members', branch)).statusCode).toBe(200)
    const missing = await get(token, '/members', 'nosuchproject')
    const foreign = await get(token, '/members', other)
    expect([foreign.statusCode, missing.statusCode]).toEqual([404, 404])
    expect(foreign.json().message).toBe(missing.json().message.replace('nosuchproject', other))
    const seen = (await api.ask(token, { url: '/v1/projects' })).json()
    expect(seen.map((one: { ref: string }) => one.ref)).toEqual([ref])
    const ofBranch = await scoped({ permissions: everything, projects: [branch] })
    expect((await get(ofBranch, '/members', branch)).statusCode).toBe(200)
    expect((await get(ofBranch, '/members')).statusCode).toBe(404)
  })

  test('sees the sessions of everybody only with the permission for it', async () => {
    const session = {
      sessionId: 'theirs',
      userId: 'somebody',
      email: null,
      role: 'app',
      address: '203.0.113.9',
      applicationName: null,
      startedAtMs: api.clock.wallMs(),
      endsAtMs: null,
    }
    api.world.sessions.set(ref, [session])
    const reader = await scoped({ permissions: ['database_jit_read'] })
    expect((await get(reader, '/database/jit/sessions')).json().items).toEqual([])
    const url = `/v1/projects/${ref}/database/jit/sessions/theirs`
    expect((await api.ask(reader, { method: 'DELETE', url })).statusCode).toBe(404)
    const writer = await scoped({ permissions: ['database_jit_read', 'database_jit_write'] })
    expect((await get(writer, '/database/jit/sessions')).json().items).toHaveLength(1)
  })

  test('makes no tokens, sees and revokes itself alone', async () => {
    const token = await scoped({ permissions: everything })
    expect((await create(token, {})).statusCode).toBe(403)
    expect((await create(token, { permissions: everything })).statusCode).toBe(403)
    const [self, ...more] = (await api.ask(token, { url: '/v1/access-tokens' })).json()
    expect(more).toEqual([])
    const revoke = (id: string) =>
      api.ask(token, { method: 'DELETE', url: `/v1/access-tokens/${id}` })
    expect((await revoke(owner.tokenId)).statusCode).toBe(403)
    expect((await revoke(self.id)).statusCode).toBe(200)
    expect((await get(token, '/members')).statusCode).toBe(401)
    expect((await get(owner.token, '/members')).statusCode).toBe(200)
  })

  test('takes its owner out of no project without the permission', async () => {
    const token = await scoped({ permissions: ['database_jit_read'] })
    const url = `/v1/projects/${other}/members/${owner.userId}`
    expect((await api.ask(token, { method: 'DELETE', url })).statusCode).toBe(403)
    expect((await api.ask(owner.token, { method: 'DELETE', url })).statusCode).toBe(200)
  })

  test('asks the login question within its roles and networks', async () => {
    await api.ask(owner.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/database/jit`,
      payload: { user_id: owner.userId, roles: [{ role: 'app' }] },
    })
    const ask = (token: string, payload: object) =>
      api.ask(token, { method: 'POST', url: `/v1/projects/${ref}/database/jit`, payload })
    const inside = { role: 'app', rhost: '203.0.113.9' }
    const permissions = ['database_jit_read']
    const token = await scoped({ permissions, roles: ['app'], networks: ['203.0.113.0/24'] })
    expect((await ask(token, inside)).statusCode).toBe(200)
    const outside = await ask(token, { ...inside, rhost: '198.51.100.1' })
    expect([outside.statusCode, outside.json().reason]).toEqual([403, 'scope_network'])
    const elsewhere = await scoped({ permissions, roles: ['reader'] })
    expect((await ask(elsewhere, inside)).json().reason).toBe('scope_role')
    const check = await api.ask(elsewhere, {
      method: 'POST',
      url: `/v1/projects/${ref}/database/jit/check`,
      payload: { role: 'app' },
    })
    expect(check.json().allowed).toBe(false)
    expect(check.json().results[0].checks).toContainEqual(
      expect.objectContaining({ check: 'scope', passed: false, reason: 'scope_role' }),
    )
  })
})

describe('a scope', () => {
  test.each([
    ['without permissions', { projects: ['x'] }, 'permissions'],
    ['with an empty list of permissions', { permissions: [] }, 'permissions'],
    ['with an empty list of projects', { permissions: everything, projects: [] }, 'projects'],
    ['with a permission of nobody', { permissions: ['everything'] }, 'permissions.0'],
    ['with a project of nobody', { permissions: everything, projects: ['nobody'] }, 'projects.0'],
    ['with host bits', { permissions: everything, networks: ['10.0.0.1/8'] }, 'networks.0'],
    ['with a mistyped key', { permissions: everything, project: ['x'] }, 'project'],
  ])('%s is 400 and names the field', async (_what, payload, field) => {
    const answer = await create(owner.token, payload)
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain(field)
  })

  test('names only projects of the owner', async () => {
    const foreign = await api.project()
    const answer = await create(owner.token, { permissions: everything, projects: [ref, foreign] })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain(`projects.1`)
  })

  test('can be given by the operator too', async () => {
    const answer = await api.ask(await api.apiJwt(), {
      method: 'POST',
      url: `/api/members/${owner.userId}/access-tokens`,
      payload: { name: 'ci', permissions: ['database_jit_read'], projects: [ref] },
    })
    expect(answer.statusCode).toBe(201)
    expect((await get(answer.json().token, '/database/jit/sessions')).statusCode).toBe(200)
    expect((await get(answer.json().token, '/members')).statusCode).toBe(403)
  })
})

import { randomUUID } from 'node:crypto'
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
  ref = await api.project()
  owner = await api.person({ [ref]: 'owner' })
})

async function putMember(by: Person, userId: string, role: string) {
  return api.ask(by.token, {
    method: 'PUT',
    url: `/v1/projects/${ref}/members/${userId}`,
    payload: { role },
  })
}

const removeMember = (by: Person, userId: string) =>
  api.ask(by.token, { method: 'DELETE', url: `/v1/projects/${ref}/members/${userId}` })

describe('members of a project', () => {
  test('are added, changed, listed and removed, each an event', async () => {
    const person = await api.person()
    expect((await putMember(owner, person.userId, 'guest')).statusCode).toBe(201)
    const changed = await putMember(owner, person.userId, 'developer')
    expect(changed.statusCode).toBe(200)
    const expected = {
      user_id: person.userId,
      primary_email: `${person.userId}@example.com`,
      username: `person ${person.userId}`,
      role: 'developer',
    }
    expect(changed.json()).toEqual(expected)
    const list = await api.ask(owner.token, { url: `/v1/projects/${ref}/members` })
    expect(list.json()).toContainEqual(expected)
    expect(api.world.lastEvent('membership_put')).toMatchObject({
      ref,
      actor: owner.userId,
      subject: person.userId,
      details: { membership: 'developer' },
    })
    expect((await removeMember(owner, person.userId)).statusCode).toBe(200)
    expect((await removeMember(owner, person.userId)).statusCode).toBe(404)
  })

  test('keep their last owner', async () => {
    expect((await removeMember(owner, owner.userId)).statusCode).toBe(409)
    expect((await putMember(owner, owner.userId, 'developer')).statusCode).toBe(409)
  })

  test('are not made, changed or removed as owners by administrators', async () => {
    const administrator = await api.person({ [ref]: 'administrator' })
    const second = await api.person({ [ref]: 'owner' })
    expect((await putMember(administrator, second.userId, 'guest')).statusCode).toBe(403)
    expect((await removeMember(administrator, second.userId)).statusCode).toBe(403)
    const other = await api.person()
    expect((await putMember(administrator, other.userId, 'owner')).statusCode).toBe(403)
    expect((await putMember(administrator, administrator.userId, 'owner')).statusCode).toBe(403)
  })

  test('are the same people in capitals', async () => {
    const administrator = await api.person({ [ref]: 'administrator' })
    const inCapitals = owner.userId.toUpperCase()
    expect((await putMember(owner, inCapitals, 'developer')).statusCode).toBe(409)
    await api.person({ [ref]: 'owner' })
    expect((await putMember(administrator, inCapitals, 'guest')).statusCode).toBe(403)
    expect(await api.deps.members.roleOf(ref, owner.userId)).toBe('owner')
  })

  test('that nobody knows are 404, and roles that do not exist 400', async () => {
    expect((await putMember(owner, randomUUID(), 'guest')).statusCode).toBe(404)
    const king = await putMember(owner, owner.userId, 'king')
    expect(king.statusCode).toBe(400)
    expect(king.json().message).toMatch(/^role: .*owner.*guest.* \(given: "king"\)$/)
  })

  test('who are taken out lose their rules', async () => {
    api.world.addRole('app')
    const person = await api.person({ [ref]: 'guest' })
    await api.ask(owner.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/database/jit`,
      payload: { user_id: person.userId, roles: [{ role: 'app' }] },
    })
    await removeMember(owner, person.userId)
    expect(await api.deps.rules.find(ref, person.userId)).toBeNull()
  })
})

describe('oneself', () => {
  test('profile has the names that clients of the public API read', async () => {
    const answer = await api.ask(owner.token, { url: '/v1/profile' })
    expect(answer.json()).toEqual({
      gotrue_id: owner.userId,
      primary_email: `${owner.userId}@example.com`,
      username: `person ${owner.userId}`,
    })
  })

  test('projects are those one is a member of, with state and own role', async () => {
    const other = await api.project({ name: 'Other' })
    const person = await api.person({ [ref]: 'guest', [other]: 'owner' })
    await api.deps.tenants.setBan(other, { reason: 'unpaid', untilMs: null })
    const projects = (await api.ask(person.token, { url: '/v1/projects' })).json()
    expect(projects).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: ref, ref, status: 'ACTIVE_HEALTHY', role: 'guest' }),
        expect.objectContaining({ ref: other, name: 'Other', status: 'INACTIVE', role: 'owner' }),
      ]),
    )
    expect(projects).toHaveLength(2)
  })
})

describe('access tokens', () => {
  const tokensOf = (person: Person) => api.ask(person.token, { url: '/v1/access-tokens' })

  test('are shown once, listed without secret, and gone when deleted', async () => {
    const expires_at = Math.floor(api.clock.wallMs() / 1000) + 3600
    const made = await api.ask(owner.token, {
      method: 'POST',
      url: '/v1/access-tokens',
      payload: { name: 'laptop', expires_at },
    })
    expect(made.statusCode).toBe(201)
    const { id, token } = made.json()
    expect(token).toMatch(/^sbp_[0-9a-f]{40}$/)
    expect(made.json()).toMatchObject({ name: 'laptop', expires_at })
    const list = await tokensOf(owner)
    expect(list.json()).toContainEqual(expect.objectContaining({ id, name: 'laptop', expires_at }))
    expect(list.body).not.toContain(token)
    expect((await api.ask(token, { url: '/v1/profile' })).statusCode).toBe(200)
    const url = `/v1/access-tokens/${id}`
    expect((await api.ask(owner.token, { method: 'DELETE', url })).statusCode).toBe(200)
    expect((await api.ask(token, { url: '/v1/profile' })).statusCode).toBe(401)
    expect((await api.ask(owner.token, { method: 'DELETE', url })).statusCode).toBe(404)
    expect(JSON.stringify(api.world.events)).not.toContain(token)
  })

  test('of others are not there to be deleted', async () => {
    const other = await api.person()
    const url = `/v1/access-tokens/${other.tokenId}`
    expect((await api.ask(owner.token, { method: 'DELETE', url })).statusCode).toBe(404)
    expect((await tokensOf(other)).statusCode).toBe(200)
  })

  test.each([
    ['without a name', {}],
    ['with a blank name', { name: '  ' }],
    ['with an end in the past', { name: 'x', expires_at: 1 }],
    ['with a key that nobody knows', { name: 'x', scope: ['a'] }],
    ['with an end in more than a year', { name: 'x', expires_at: 4_000_000_000 }],
  ])('%s are 400', async (_what, payload) => {
    const url = '/v1/access-tokens'
    const answer = await api.ask(owner.token, { method: 'POST', url, payload })
    expect(answer.statusCode).toBe(400)
  })
})

describe('/api/members', () => {
  async function ask(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, payload?: object) {
    const url = `/api/members/${path}`
    return api.ask(await api.apiJwt(), { method, url, ...(payload && { payload }) })
  }

  test('takes a person from nothing to a first token and away again', async () => {
    const userId = randomUUID()
    const body = { email: `${userId}@example.com`, name: 'Ada', operator: true }
    expect((await ask('GET', userId)).statusCode).toBe(404)
    expect((await ask('PUT', userId, body)).statusCode).toBe(201)
    const again = await ask('PUT', userId, { ...body, name: 'Ada L.' })
    expect(again.statusCode).toBe(200)
    expect(again.json()).toMatchObject({ user_id: userId, ...body, name: 'Ada L.' })
    const made = await ask('POST', `${userId}/access-tokens`, { name: 'first' })
    expect(made.statusCode).toBe(201)
    const { token } = made.json()
    const profile = await api.ask(token, { url: '/v1/profile' })
    expect(profile.json()).toMatchObject({ gotrue_id: userId, username: 'Ada L.' })
    expect((await ask('DELETE', userId)).statusCode).toBe(204)
    expect((await api.ask(token, { url: '/v1/profile' })).statusCode).toBe(401)
    expect((await ask('DELETE', userId)).statusCode).toBe(404)
    expect((await ask('POST', `${userId}/access-tokens`, { name: 'x' })).statusCode).toBe(404)
    expect(api.world.lastEvent('member_removed')).toMatchObject({
      actor: 'operator',
      subject: userId,
    })
  })

  test('takes the user id of the guide, which is a UUID of no version', async () => {
    const userId = '00000000-1111-2222-3333-444444444444'
    expect((await ask('PUT', userId, { name: 'Guide' })).statusCode).toBe(201)
    api.world.addRole('app')
    await putMember(owner, userId, 'guest')
    const answer = await api.ask(owner.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/database/jit`,
      payload: { user_id: userId, user_roles: [{ role: 'app' }] },
    })
    expect(answer.statusCode).toBe(200)
    expect(answer.json().user_id).toBe(userId)
  })

  test('refuses an e-mail that another has with 409', async () => {
    const email = `${owner.userId}@example.com`
    const answer = await ask('PUT', randomUUID(), { email, name: 'Impostor' })
    expect(answer.statusCode).toBe(409)
  })

  test('without our JWT is 403 with an empty body', async () => {
    const answer = await api.ask(null, { url: `/api/members/${owner.userId}` })
    expect([answer.statusCode, answer.body]).toEqual([403, ''])
  })
})

describe('the pooler’s addresses', () => {
  test('are told for each mode, without a password', async () => {
    const url = `/v1/projects/${ref}/config/database/pooler`
    const modes = (await api.ask(owner.token, { url })).json()
    expect(modes).toHaveLength(2)
    expect(modes[0]).toEqual({
      identifier: ref,
      database_type: 'PRIMARY',
      is_using_scram_auth: true,
      db_user: `app.${ref}`,
      db_host: 'pooler.example.com',
      db_port: 6543,
      db_name: 'postgres',
      connection_string: `postgresql://app.${ref}:[YOUR-PASSWORD]@pooler.example.com:6543/postgres?sslmode=require`,
      default_pool_size: 15,
      max_client_conn: 1000,
      pool_mode: 'transaction',
    })
    expect(modes[1]).toMatchObject({ pool_mode: 'session', db_port: 5432 })
  })
})

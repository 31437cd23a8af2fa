import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiSetup, apiJwtSecret, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let count = 0

beforeAll(async () => {
  api = await setUpApi()
})
afterAll(() => api.close())

type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE'

async function ask(method: Method, path: string, payload?: object) {
  const url = `/api/tenants${path}`
  return api.ask(await api.apiJwt(), { method, url, ...(payload && { payload }) })
}

const newRef = (): string => `tenant-${++count}`

const upstream = { db_host: 'db.example.com', db_port: 5432, db_database: 'postgres' }
const password = 'a password that must never come out'
const appUser = {
  db_user: 'app',
  db_password: password,
  pool_size: 7,
  mode_type: 'transaction',
  max_clients: 50,
}
const full = { ...upstream, require_user: true, users: [appUser] }

async function makeTenant(fields: object = full): Promise<string> {
  const ref = newRef()
  const made = await ask('PUT', `/${ref}`, { tenant: fields })
  expect(made.body).not.toContain('errors')
  expect(made.statusCode).toBe(201)
  return ref
}

const storedPassword = async (ref: string, role = 'app') =>
  (await api.deps.tenants.findByRef(ref))?.roles.get(role)?.password?.reveal()

describe('PUT', () => {
  test('makes a tenant with 201 and Location, and changes it with 200', async () => {
    const ref = newRef()
    const made = await ask('PUT', `/${ref}`, { tenant: full })
    expect(made.statusCode).toBe(201)
    expect(made.headers.location).toBe(`/api/tenants/${ref}`)
    expect(made.json().data).toMatchObject({
      external_id: ref,
      ...upstream,
      ip_version: 'auto',
      upstream_ssl: false,
      upstream_verify: null,
      enforce_ssl: false,
      require_user: true,
      default_pool_size: 15,
      default_min_pool_size: 0,
      max_server_connections: null,
      default_max_clients: 1000,
      client_heartbeat_interval: 60,
      allow_list: ['0.0.0.0/0', '::/0'],
      use_jit: false,
      banned_at: null,
      users: [
        {
          db_user: 'app',
          db_user_alias: 'app',
          has_password: true,
          is_manager: false,
          mode_type: 'transaction',
          pool_size: 7,
          pool_checkout_timeout: 60_000,
          max_clients: 50,
        },
      ],
    })
    const limits = { default_pool_size: 3, default_min_pool_size: 1, max_server_connections: 20 }
    const changed = await ask('PUT', `/${ref}`, { tenant: limits })
    expect(changed.statusCode).toBe(200)
    expect(changed.json().data).toMatchObject({ ...limits, db_host: 'db.example.com' })
    const unbound = await ask('PUT', `/${ref}`, { tenant: { max_server_connections: null } })
    expect(unbound.json().data).toMatchObject({ ...limits, max_server_connections: null })
    expect(changed.json().data.users).toHaveLength(1)
    expect(await storedPassword(ref)).toBe(password)
  })

  test('never gives a password out, in no answer and no event', async () => {
    const ref = await makeTenant()
    const answers = [
      await ask('GET', `/${ref}`),
      await ask('GET', ''),
      await ask('PUT', `/${ref}`, { tenant: full }),
      await ask('PATCH', `/${ref}`, { banned: true, ban_reason: 'x' }),
      await ask('PUT', `/${ref}`, { tenant: { ...full, users: [{ ...appUser, pool_size: 'x' }] } }),
    ]
    for (const answer of answers) {
      expect(answer.body).not.toContain(password)
      expect(answer.body).not.toContain('db_password":')
    }
    expect(JSON.stringify(api.world.events)).not.toContain(password)
  })

  test('takes an answer back as it came, keeping passwords and replacing users', async () => {
    const second = { ...appUser, db_user: 'second', db_password: 'another' }
    const ref = await makeTenant({ ...full, users: [appUser, second] })
    const { data } = (await ask('GET', `/${ref}`)).json()
    const [app] = data.users
    const answer = await ask('PUT', `/${ref}`, { tenant: { ...data, users: [app] } })
    expect(answer.statusCode).toBe(200)
    const { updated_at: _before, users: _users, ...same } = data
    expect(answer.json().data).toMatchObject(same)
    expect(answer.json().data.users).toHaveLength(1)
    expect(await storedPassword(ref)).toBe(password)
    expect(await storedPassword(ref, 'second')).toBeUndefined()
  })

  test('names the owner', async () => {
    const person = await api.person()
    const ref = await makeTenant({ ...full, owner: person.userId })
    expect(await api.deps.members.roleOf(ref, person.userId)).toBe('owner')
    const missing = '00000000-1111-4222-8333-444444444444'
    const answer = await ask('PUT', `/${newRef()}`, { tenant: { ...full, owner: missing } })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors).toHaveProperty('owner')
  })

  test('with an owner for a branch is refused and changes nothing', async () => {
    const person = await api.person()
    const parent = await makeTenant()
    const branch = await api.project({ parentRef: parent })
    const before = await api.deps.tenants.findByRef(branch)
    const tenant = { db_database: 'elsewhere', owner: person.userId }
    const answer = await ask('PUT', `/${branch}`, { tenant })
    const error = `owner: members are those of project ${parent}`
    expect([answer.statusCode, answer.json()]).toEqual([409, { error }])
    expect(await api.deps.tenants.findByRef(branch)).toEqual(before)
    expect(await api.deps.members.roleOf(branch, person.userId)).toBeNull()
  })

  test('takes an auth_query tenant with its manager, and the default query', async () => {
    const manager = { db_user: 'boss', db_password: password, is_manager: true, pool_size: 1 }
    const ref = await makeTenant({ ...upstream, require_user: false, users: [manager] })
    const { data } = (await ask('GET', `/${ref}`)).json()
    expect(data).toMatchObject({ require_user: false, auth_query: expect.any(String) })
  })

  test.each([
    [{ upstream_ssl: true }, { upstream_ssl: true, upstream_verify: 'none' }, 'require'],
    [
      { upstream_ssl: true, upstream_verify: 'peer' },
      { upstream_ssl: true, upstream_verify: 'peer' },
      'verify-ca',
    ],
    [
      { upstream_ssl: true, upstream_verify: 'verify-full' },
      { upstream_ssl: true, upstream_verify: 'verify-full' },
      'verify-full',
    ],
    [{ upstream_ssl: false }, { upstream_ssl: false, upstream_verify: null }, 'disable'],
  ])('with %o stores the TLS mode', async (fields, shown, mode) => {
    const ref = await makeTenant({ ...full, ...fields })
    expect((await ask('GET', `/${ref}`)).json().data).toMatchObject(shown)
    expect((await api.deps.tenants.findByRef(ref))?.upstreamTls).toBe(mode)
  })

  test.each([
    ['db_host', { db_host: undefined }],
    ['db_host', { db_host: '169.254.169.254' }],
    ['db_host', { db_host: '::ffff:169.254.1.1' }],
    ['db_host', { db_host: 'fe80::1' }],
    ['db_host', { db_host: '/var/run' }],
    ['db_port', { db_port: 0 }],
    ['db_port', { db_port: '5432x' }],
    ['users', { users: undefined }],
    ['users.0.db_password', { users: [{ db_user: 'app', pool_size: 1 }] }],
    ['users.0.pool_size', { users: [{ ...appUser, pool_size: 0 }] }],
    ['upstream_verify', { upstream_ssl: false, upstream_verify: 'peer' }],
    ['allow_list', { allow_list: ['everywhere'] }],
    ['jit_api_url', { jit_api_url: 'http://example.com/jit' }],
    ['jit_api_url', { jit_api_url: 'https://user:pass@example.com/jit' }],
    ['default_pool_size', { default_pool_size: -1 }],
    ['default_min_pool_size', { default_min_pool_size: -1 }],
    ['max_server_connections', { max_server_connections: 0 }],
    ['users.0.min_pool_size', { users: [{ ...appUser, min_pool_size: -1 }] }],
  ])('is 422 naming %s for %o', async (field, fields) => {
    const answer = await ask('PUT', `/${newRef()}`, { tenant: { ...full, ...fields } })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors).toHaveProperty([field])
  })

  test('is 400 for an authority that is no certificate, and for JSON that is none', async () => {
    const tenant = { ...full, upstream_ssl: true, upstream_tls_ca: 'nonsense' }
    const answer = await ask('PUT', `/${newRef()}`, { tenant })
    expect([answer.statusCode, Object.keys(answer.json())]).toEqual([400, ['error']])
    const broken = await api.app.inject({
      method: 'PUT',
      url: `/api/tenants/${newRef()}`,
      headers: {
        authorization: `Bearer ${await api.apiJwt()}`,
        'content-type': 'application/json',
      },
      payload: '{"tenant":',
    })
    expect([broken.statusCode, Object.keys(broken.json())]).toEqual([400, ['error']])
  })

  test('is refused whole when two tenants want one server name', async () => {
    await makeTenant({ ...full, sni_hostname: 'one.example.com' })
    const ref = newRef()
    const tenant = { ...full, sni_hostname: 'ONE.example.com' }
    expect((await ask('PUT', `/${ref}`, { tenant })).statusCode).toBe(409)
    expect(await api.deps.tenants.findByRef(ref)).toBeNull()
  })

  test('of a body larger than the limit is 413', async () => {
    const tenant = { ...full, name: 'x'.repeat(600_000) }
    expect((await ask('PUT', `/${newRef()}`, { tenant })).statusCode).toBe(413)
  })
})

describe('PATCH', () => {
  test('bans and lifts the ban', async () => {
    const ref = await makeTenant()
    const banned = await ask('PATCH', `/${ref}`, {
      banned: true,
      ban_reason: 'unpaid',
      banned_until: '2030-01-01T00:00:00',
    })
    expect(banned.json().data).toMatchObject({
      ban_reason: 'unpaid',
      banned_until: '2030-01-01T00:00:00.000Z',
      banned_at: expect.any(String),
    })
    expect(api.world.lastEvent('ban_changed')).toMatchObject({ ref, actor: 'operator' })
    const lifted = await ask('PATCH', `/${ref}`, { banned: false })
    expect(lifted.json().data).toMatchObject({
      banned_at: null,
      ban_reason: null,
      banned_until: null,
    })
  })

  test('without a reason, or with another type, is 422', async () => {
    const ref = await makeTenant()
    const blank = await ask('PATCH', `/${ref}`, { banned: true })
    expect(blank.statusCode).toBe(422)
    expect(blank.json().errors).toHaveProperty('ban_reason')
    expect((await ask('PATCH', `/${ref}`, { banned: 'yes' })).statusCode).toBe(422)
    expect((await ask('PATCH', '/none', { banned: false })).statusCode).toBe(404)
  })
})

describe('GET and DELETE', () => {
  test('list pages by ref', async () => {
    const first = await makeTenant()
    const second = await makeTenant()
    const page = (await ask('GET', `?limit=1&after=${first}`)).json()
    expect(page.data).toHaveLength(1)
    expect(page.data[0].external_id > first).toBe(true)
    const all = (await ask('GET', '')).json().data
    expect(all.map((tenant: { external_id: string }) => tenant.external_id)).toContain(second)
  })

  test('DELETE ends what lives, branches included, and is 404 afterwards', async () => {
    const ref = await makeTenant()
    const branch = await api.project({ parentRef: ref })
    expect((await ask('DELETE', `/${ref}`)).statusCode).toBe(204)
    expect(api.world.terminated).toEqual(expect.arrayContaining([ref, branch]))
    expect(await api.deps.tenants.findByRef(branch)).toBeNull()
    for (const method of ['GET', 'DELETE'] as const) {
      const answer = await ask(method, `/${ref}`)
      expect([answer.statusCode, answer.json()]).toEqual([404, { error: 'not found' }])
    }
  })
})

describe('actions', () => {
  test.each(['GET', 'POST'] as const)('%s terminate ends the connections', async (method) => {
    const ref = await makeTenant()
    const answer = await ask(method, `/${ref}/terminate`)
    expect([answer.statusCode, answer.json()]).toEqual([200, { result: 'ok' }])
    expect(api.world.terminated).toContain(ref)
    expect((await ask(method, '/none/terminate')).statusCode).toBe(404)
  })

  test('HEAD terminate ends nothing', async () => {
    const ref = await makeTenant()
    const url = `/api/tenants/${ref}/terminate`
    await api.ask(await api.apiJwt(), { method: 'HEAD', url })
    expect(api.world.terminated).not.toContain(ref)
  })

  test('update_auth_credentials gives the manager another password', async () => {
    const manager = { db_user: 'boss', db_password: 'old', is_manager: true, pool_size: 1 }
    const ref = await makeTenant({ ...upstream, require_user: false, users: [manager] })
    const body = { db_user: 'boss', db_password: 'new' }
    const answer = await ask('POST', `/${ref}/update_auth_credentials`, body)
    expect([answer.statusCode, answer.body]).toEqual([204, ''])
    expect(await storedPassword(ref, 'boss')).toBe('new')
    const path = '/update_auth_credentials'
    expect((await ask('POST', `/${await makeTenant()}${path}`, body)).statusCode).toBe(400)
    expect((await ask('POST', `/none${path}`, body)).statusCode).toBe(404)
    expect((await ask('POST', `/${ref}${path}`, { db_user: 'boss' })).statusCode).toBe(422)
  })

  test('network_bans are listed in seconds and lifted one by one', async () => {
    const ref = await makeTenant()
    const untilMs = Date.UTC(2030, 0, 1)
    api.world.blocked.set(ref, [
      { source: '192.0.2.1', untilMs },
      { source: '192.0.2.2', untilMs },
      { source: '2001:db8::/64', untilMs },
    ])
    const ban = (banned_address: string) => ({ banned_address, banned_until: untilMs / 1000 })
    expect((await ask('GET', `/${ref}/network_bans`)).json()).toEqual({
      banned_ipv4_addresses: [ban('192.0.2.1'), ban('192.0.2.2')],
      banned_ipv6_addresses: [ban('2001:db8::/64')],
    })
    const left = await ask('DELETE', `/${ref}/network_bans`, { ipv4_addresses: ['192.0.2.1'] })
    expect(left.json().banned_ipv4_addresses).toEqual([ban('192.0.2.2')])
    expect((await ask('GET', '/none/network_bans')).statusCode).toBe(404)
  })
})

describe('the JWT', () => {
  test.each(['/api/tenants', '/api/tenants/x', '/api/tenants/x/terminate', '/api/members/x'])(
    'is asked for at %s, with an empty 403',
    async (url) => {
      const answer = await api.ask(null, { url })
      expect([answer.statusCode, answer.body]).toEqual([403, ''])
    },
  )

  test('of another algorithm or past its end is refused', async () => {
    const key = new TextEncoder().encode(apiJwtSecret)
    const tokens = [
      await new SignJWT({}).setProtectedHeader({ alg: 'HS512' }).sign(key),
      await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(1).sign(key),
    ]
    for (const token of tokens) {
      expect((await api.ask(token, { url: '/api/tenants' })).statusCode).toBe(403)
    }
  })
})

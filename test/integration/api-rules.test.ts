import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RoleVerdict } from '../../pooler/access/role-verdict.ts'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'
import { makeVerdict } from '../support/rules.ts'

let api: ApiSetup
let ref: string
let owner: Person
let developer: Person

beforeAll(async () => {
  api = await setUpApi()
  api.world.addRole('app')
  api.world.addRole('reader', { warnings: ['can bypass row security'] })
  api.world.addRole('boss', { isAssignable: false, reason: 'superuser' })
  ref = await api.project()
  owner = await api.person({ [ref]: 'owner' })
  developer = await api.person({ [ref]: 'developer' })
})
afterAll(() => api.close())

const path = (rest = ''): string => `/v1/projects/${ref}/database/jit${rest}`
const inSeconds = (seconds: number): number => Math.floor(api.clock.wallMs() / 1000) + seconds

async function put(body: object, headers: Record<string, string> = {}) {
  return api.ask(owner.token, { method: 'PUT', url: path(), headers, payload: body })
}

describe('PUT of rules', () => {
  test('stores what the guide shows, milliseconds and user_roles included', async () => {
    const expiresAt = inSeconds(3600)
    const answer = await put({
      user_id: developer.userId,
      user_roles: [
        {
          role: 'app',
          allowed_networks: { allowed_cidrs: [{ cidr: '176.1.12.1/32' }] },
          expires_at: expiresAt * 1000,
        },
      ],
    })
    expect(answer.statusCode).toBe(200)
    const role = {
      role: 'app',
      allowed_networks: { allowed_cidrs: [{ cidr: '176.1.12.1/32' }] },
      expires_at: expiresAt,
    }
    expect(answer.json()).toEqual({
      user_id: developer.userId,
      user_roles: [role],
      warnings: [expect.stringMatching(/^app: .*IPv6/)],
    })
    const own = await api.ask(developer.token, { url: path() })
    expect(own.json()).toEqual({ user_id: developer.userId, user_roles: [role] })
    expect(own.headers.etag).toBe(answer.headers.etag)
  })

  test('replaces the whole set, and an empty one removes it', async () => {
    await put({ user_id: developer.userId, roles: [{ role: 'app' }] })
    const second = await put({ user_id: developer.userId, roles: [{ role: 'reader' }] })
    expect(second.json().user_roles).toEqual([{ role: 'reader' }])
    const empty = await put({ user_id: developer.userId, roles: [] })
    expect(empty.json()).toEqual({ user_id: developer.userId, user_roles: [] })
    expect((await api.ask(developer.token, { url: path() })).statusCode).toBe(406)
    expect(api.world.lastEvent('rule_removed')).toMatchObject({ subject: developer.userId, ref })
  })

  test('warns of what a role can do and of a role without stored password', async () => {
    const answer = await put({ user_id: developer.userId, roles: [{ role: 'reader' }] })
    expect(answer.json().warnings).toEqual([
      'reader: can bypass row security',
      expect.stringContaining('reader: no password of this role is stored'),
    ])
  })

  test.each([
    ['an unassignable role', [{ role: 'boss' }], 'superuser'],
    ['a role the database does not have', [{ role: 'nobody' }], 'has no role nobody'],
    ['a role twice', [{ role: 'app' }, { role: 'app' }], 'roles.1.role'],
    ['a mistyped key', [{ role: 'app', expire_at: 1 }], 'expire_at'],
    ['a mistyped list', [{ role: 'app', allowed_networks: { allowed_cidr: [] } }], 'allowed_cidr'],
    ['an empty role', [{ role: '' }], 'roles.0.role'],
    ['an end in text', [{ role: 'app', expires_at: '1800000000' }], 'roles.0.expires_at'],
    ['an end in the past', [{ role: 'app', expires_at: 1_700_000_000 }], 'epoch seconds'],
  ])('refuses %s with 400 and says where', async (_what, roles, message) => {
    const before = await api.deps.rules.find(ref, developer.userId)
    const answer = await put({ user_id: developer.userId, roles })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain(message)
    expect(await api.deps.rules.find(ref, developer.userId)).toEqual(before)
  })

  test('caps the end at 90 days, in both units', async () => {
    const tooFar = inSeconds(90 * 86_400 + 60)
    for (const expires_at of [tooFar, tooFar * 1000]) {
      const answer = await put({ user_id: developer.userId, roles: [{ role: 'app', expires_at }] })
      expect(answer.statusCode).toBe(400)
      expect(answer.json().message).toContain('more than 90 days ahead')
    }
  })

  test.each([
    ['allowed_cidrs', '10.0.0.1/24', 'bits set behind'],
    ['allowed_cidrs', '10.0.0.0', 'no CIDR'],
    ['allowed_cidrs', '010.0.0.0/8', 'no CIDR'],
    ['allowed_cidrs', '10.0.0.0/33', '0 to 32'],
    ['allowed_cidrs', '2001:db8::/32', 'is IPv6'],
    ['allowed_cidrs_v6', '10.0.0.0/8', 'is IPv4'],
    ['allowed_cidrs_v6', '2001:db8::1/32', 'bits set behind'],
    ['allowed_cidrs_v6', '::ffff:10.0.0.0/104', 'is IPv4'],
  ])('refuses %s with %s', async (list, cidr, message) => {
    const roles = [{ role: 'app', allowed_networks: { [list]: [{ cidr }] } }]
    const answer = await put({ user_id: developer.userId, roles })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain(`roles.0.allowed_networks.${list}.0`)
    expect(answer.json().message).toContain(message)
  })

  test('refuses the same network in two spellings', async () => {
    const allowed_cidrs_v6 = [{ cidr: '2001:db8::/32' }, { cidr: '2001:0DB8:0::/32' }]
    const roles = [{ role: 'app', allowed_networks: { allowed_cidrs_v6 } }]
    const answer = await put({ user_id: developer.userId, roles })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain('allowed_cidrs_v6.1')
  })

  test('lets an entry that is over pass when it is sent back unchanged, and only then', async () => {
    const entry = { role: 'app', expires_at: inSeconds(60) }
    await put({ user_id: developer.userId, roles: [entry] })
    api.clock.advance(120_000)
    const unchanged = await put({ user_id: developer.userId, roles: [entry, { role: 'reader' }] })
    expect(unchanged.statusCode).toBe(200)
    const roles = [{ ...entry, branches_only: true }]
    const changed = await put({ user_id: developer.userId, roles })
    expect(changed.statusCode).toBe(400)
  })

  test('refuses somebody who is no member with 400', async () => {
    const stranger = await api.person()
    const answer = await put({ user_id: stranger.userId, roles: [{ role: 'app' }] })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain('no member')
  })

  test('refuses both keys at once, and neither', async () => {
    const user_id = developer.userId
    expect((await put({ user_id, roles: [], user_roles: [] })).statusCode).toBe(400)
    const neither = await put({ user_id })
    expect(neither.statusCode).toBe(400)
    expect(neither.json().message).toContain('roles')
  })

  test('is 502 when the database cannot be asked, and changes nothing', async () => {
    const before = await api.deps.rules.find(ref, developer.userId)
    const { assignableRoles } = api.deps
    const { list } = assignableRoles
    assignableRoles.list = () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1'))
    try {
      const answer = await put({ user_id: developer.userId, roles: [{ role: 'app' }] })
      expect(answer.statusCode).toBe(502)
      expect(answer.body).not.toContain('10.0.0.1')
    } finally {
      assignableRoles.list = list
    }
    expect(await api.deps.rules.find(ref, developer.userId)).toEqual(before)
  })

  test('takes one of two back whatever the database says, and gives nothing meanwhile', async () => {
    let isAway = false
    const roles = new Map<string, RoleVerdict>()
    const list = async () => {
      if (isAway) throw new Error('away')
      return [...roles.values()]
    }
    const { assignableRoles } = api.deps
    const two = await setUpApi({}, { assignableRoles: { ...assignableRoles, list } })
    try {
      const project = await two.project()
      const { token, userId } = await two.person({ [project]: 'owner' })
      for (const role of ['app', 'reader']) roles.set(role, makeVerdict(role))
      const put = (...given: string[]) => {
        const url = `/v1/projects/${project}/database/jit`
        const payload = { user_id: userId, roles: given.map((role) => ({ role })) }
        return two.ask(token, { method: 'PUT', url, payload })
      }
      expect((await put('app', 'reader')).statusCode).toBe(200)
      const before = await two.deps.rules.find(project, userId)
      roles.clear()
      expect((await put('app', 'reader')).json().warnings).toEqual([
        'app: the database has no role app; nobody logs in by this rule',
        'reader: the database has no role reader; nobody logs in by this rule',
      ])
      isAway = true
      expect((await put('app', 'other')).statusCode).toBe(502)
      const left = await put('app')
      expect([left.statusCode, left.json().warnings]).toEqual([
        200,
        ['the database could not be asked; the rules that stay are as they were given'],
      ])
      expect((await two.deps.rules.find(project, userId))?.rules).toEqual([before?.rules[0]])
    } finally {
      await two.close()
    }
  })

  test('names the key that was written in its refusal', async () => {
    const answer = await put({ user_id: developer.userId, user_roles: [{ role: 'boss' }] })
    expect(answer.json().message).toContain('user_roles.0.role')
  })

  test('with a stale If-Match is 412 and changes nothing', async () => {
    const user_id = developer.userId
    const first = await put({ user_id, roles: [{ role: 'app' }] })
    const etag = String(first.headers.etag)
    const second = await put({ user_id, roles: [{ role: 'reader' }] }, { 'if-match': etag })
    expect(second.statusCode).toBe(200)
    const stale = await put({ user_id, roles: [{ role: 'app' }] }, { 'if-match': etag })
    expect(stale.statusCode).toBe(412)
    const now = await api.ask(owner.token, { url: path(`/${user_id}`) })
    expect(now.json().user_roles).toEqual([{ role: 'reader' }])
    expect(now.headers.etag).toBe(second.headers.etag)
  })

  test('for oneself is allowed to an owner, and the event says so', async () => {
    await put({ user_id: owner.userId, roles: [{ role: 'app' }] })
    expect(api.world.lastEvent('rule_changed')).toMatchObject({
      actor: owner.userId,
      subject: owner.userId,
      details: { self: true },
      tokenId: owner.tokenId,
    })
    await put({ user_id: developer.userId, roles: [{ role: 'app' }] })
    expect(api.world.lastEvent('rule_changed')?.details).not.toHaveProperty('self')
  })

  test('is not for a developer, whose answer names the permission', async () => {
    const answer = await api.ask(developer.token, {
      method: 'PUT',
      url: path(),
      payload: { user_id: developer.userId, roles: [{ role: 'app' }] },
    })
    expect(answer.statusCode).toBe(403)
    expect(answer.json()).toMatchObject({ missing_permissions: ['database_jit_write'] })
  })
})

describe('the other calls on rules', () => {
  test('list gives all five keys of each member', async () => {
    await put({ user_id: developer.userId, roles: [{ role: 'app' }] })
    const { items } = (await api.ask(owner.token, { url: path('/list') })).json()
    expect(items).toContainEqual({
      user_id: developer.userId,
      primary_email: `${developer.userId}@example.com`,
      user_roles: [{ role: 'app' }],
      invite_id: null,
      expires_at: null,
    })
    expect((await api.ask(developer.token, { url: path('/list') })).statusCode).toBe(403)
  })

  test('DELETE answers nothing, ends the rule, and finds nothing a second time', async () => {
    await put({ user_id: developer.userId, roles: [{ role: 'app' }] })
    const url = path(`/${developer.userId}`)
    const answer = await api.ask(owner.token, { method: 'DELETE', url })
    expect(answer.statusCode).toBe(200)
    expect(answer.body).toBe('')
    expect((await api.ask(owner.token, { url })).statusCode).toBe(404)
    expect((await api.ask(owner.token, { method: 'DELETE', url })).statusCode).toBe(404)
  })

  test('DELETE with a JSON content type and no body works', async () => {
    await put({ user_id: developer.userId, roles: [{ role: 'app' }] })
    const answer = await api.ask(owner.token, {
      method: 'DELETE',
      url: path(`/${developer.userId}`),
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.statusCode).toBe(200)
  })

  test('roles are told with reason and warnings', async () => {
    const roles = (await api.ask(owner.token, { url: path('/roles') })).json()
    expect(roles).toContainEqual({
      role: 'boss',
      assignable: false,
      reason: 'superuser',
      warnings: [],
    })
    expect(roles).toContainEqual({
      role: 'reader',
      assignable: true,
      reason: null,
      warnings: ['can bypass row security'],
    })
  })

  test('an id that is none is 400 and not a failure', async () => {
    const answer = await api.ask(owner.token, { url: path('/no-uuid') })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain('user_id')
  })
})

describe('on a branch', () => {
  test('rules are read from the parent and changed only there', async () => {
    await put({ user_id: developer.userId, roles: [{ role: 'app' }] })
    const branch = await api.project({ parentRef: ref })
    const url = `/v1/projects/${branch}/database/jit`
    const own = await api.ask(developer.token, { url })
    expect(own.json().user_roles).toEqual([{ role: 'app' }])
    const payload = { user_id: developer.userId, roles: [] }
    const answer = await api.ask(owner.token, { method: 'PUT', url, payload })
    expect(answer.statusCode).toBe(409)
    expect(answer.json().message).toContain(ref)
    const gone = await api.ask(owner.token, {
      method: 'DELETE',
      url: `${url}/${developer.userId}`,
    })
    expect(gone.statusCode).toBe(409)
    expect((await api.ask(developer.token, { url: path() })).statusCode).toBe(200)
  })
})

describe('where every rule needs an end', () => {
  test('one without is 400', async () => {
    const strict = await setUpApi({ isRuleExpiryRequired: true })
    try {
      strict.world.addRole('app')
      const project = await strict.project()
      const person = await strict.person({ [project]: 'owner' })
      const answer = await strict.ask(person.token, {
        method: 'PUT',
        url: `/v1/projects/${project}/database/jit`,
        payload: { user_id: person.userId, roles: [{ role: 'app' }] },
      })
      expect(answer.statusCode).toBe(400)
      expect(answer.json().message).toContain('needs an end')
    } finally {
      await strict.close()
    }
  })
})

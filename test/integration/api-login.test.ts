import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PoolerError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let ref: string
let person: Person

beforeAll(async () => {
  api = await setUpApi()
  api.world.addRole('app')
  api.world.addRole('reader')
  api.world.addRole('boss', { isAssignable: false, reason: 'superuser' })
})
afterAll(() => api.close())
beforeEach(async () => {
  ref = await api.project()
  person = await api.person({ [ref]: 'developer' })
})

const rule = (role: string, more: object = {}) => ({
  role,
  expiresAtMs: null,
  networksV4: [],
  networksV6: [],
  branchesOnly: false,
  ...more,
})
const allow = (...rules: ReturnType<typeof rule>[]) =>
  api.deps.rules.replaceForMember(ref, person.userId, rules)
const post = (path: string, payload?: object, token = person.token, project = ref) =>
  api.ask(token, {
    method: 'POST',
    url: `/v1/projects/${project}/database/jit${path}`,
    ...(payload && { payload }),
  })
const inSeconds = (seconds: number) => Math.floor(api.clock.wallMs() / 1000) + seconds

describe('the login question', () => {
  test('is answered with the rule, and recorded as asked', async () => {
    const expires_at = inSeconds(600)
    await allow(rule('app', { expiresAtMs: expires_at * 1000, networksV4: ['192.0.2.0/24'] }))
    const answer = await post('', { role: 'app', rhost: '::ffff:192.0.2.9' })
    expect(answer.json()).toEqual({
      user_id: person.userId,
      user_role: {
        role: 'app',
        expires_at,
        allowed_networks: { allowed_cidrs: [{ cidr: '192.0.2.0/24' }] },
      },
    })
    expect(api.world.events.at(-1)).toEqual({
      atMs: api.clock.wallMs(),
      ref,
      actor: person.userId,
      action: 'asked',
      role: 'app',
      address: '192.0.2.9',
      tokenId: person.tokenId,
      tokenName: 'test',
    })
  })

  test('tells the end of the token where that comes first', async () => {
    await allow(rule('app', { expiresAtMs: inSeconds(600) * 1000 }))
    const { token } = await api.deps.tokens.create({
      userId: person.userId,
      name: 'short',
      expiresAtMs: inSeconds(60) * 1000,
    })
    const answer = await post('', { role: 'app', rhost: '192.0.2.9' }, token.reveal())
    expect(answer.json().user_role.expires_at).toBe(inSeconds(60))
  })

  test('is 406 without any rule', async () => {
    const answer = await post('', { role: 'app', rhost: '192.0.2.9' })
    expect(answer.statusCode).toBe(406)
    expect(api.world.events.at(-1)).toMatchObject({ action: 'asked', reason: 'no_rule' })
  })

  test.each([
    ['role_not_granted', 'reader', '192.0.2.9'],
    ['network_not_allowed', 'app', '198.51.100.1'],
    ['network_not_allowed', 'app', '2001:db8::1'],
  ])('is 403 with %s', async (reason, role, rhost) => {
    await allow(rule('app', { networksV4: ['192.0.2.0/24'] }))
    const answer = await post('', { role, rhost })
    expect(answer.statusCode).toBe(403)
    expect(answer.json().reason).toBe(reason)
    expect(api.world.events.at(-1)).toMatchObject({ action: 'asked', reason, role })
  })

  test('is 403 while access is off, the project banned, or the rule over', async () => {
    await allow(rule('app', { expiresAtMs: inSeconds(60) * 1000 }))
    const reasonNow = async () => {
      const answer = await post('', { role: 'app', rhost: '192.0.2.9' })
      return [answer.statusCode, answer.json().reason]
    }
    await api.deps.tenants.setJit(ref, false)
    expect(await reasonNow()).toEqual([403, 'access_disabled'])
    await api.deps.tenants.setJit(ref, true)
    await api.deps.tenants.setBan(ref, { reason: 'unpaid', untilMs: null })
    expect(await reasonNow()).toEqual([403, 'project_banned'])
    await api.deps.tenants.setBan(ref, null)
    expect(await reasonNow()).toEqual([200, undefined])
    api.clock.advance(61_000)
    expect(await reasonNow()).toEqual([403, 'rule_expired'])
  })

  test('is 403 for a role that may not be given away any more', async () => {
    await allow(rule('boss'))
    const answer = await post('', { role: 'boss', rhost: '192.0.2.9' })
    expect([answer.statusCode, answer.json().reason]).toEqual([403, 'role_not_assignable'])
  })

  test('is 503 while the database cannot be asked, which refuses nobody', async () => {
    await allow(rule('app'))
    await whileUnreachable(async () => {
      const answer = await post('', { role: 'app', rhost: '192.0.2.9' })
      expect(answer.statusCode).toBe(503)
    })
  })

  test('for a rule of branches only is answered on the branch alone', async () => {
    const branch = await api.project({ parentRef: ref })
    await allow(rule('app', { branchesOnly: true }))
    const body = { role: 'app', rhost: '192.0.2.9' }
    expect((await post('', body)).json().reason).toBe('branches_only')
    expect((await post('', body, person.token, branch)).statusCode).toBe(200)
    expect(api.world.events.at(-1)).toMatchObject({ ref: branch })
  })

  test.each(['localhost', '192.0.2.0/24', '1.2.3', ''])('is 400 for rhost %j', async (rhost) => {
    await allow(rule('app'))
    const answer = await post('', { role: 'app', rhost })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain('rhost')
  })
})

describe('the dry run', () => {
  test('says where an outside authoriser decides, and does not pretend to know its answer', async () => {
    await allow(rule('app'))
    const users = [{ dbUser: 'app', dbPassword: new Secret('app password') }]
    const input = { dbHost: 'db.example.com', dbPort: 5432, dbDatabase: 'postgres', users }
    const jitApiUrl = 'https://authoriser.example.com/ask'
    await api.deps.tenants.put(ref, { ...input, useJit: true, jitApiUrl })
    const { allowed, results } = (await post('/check', { role: 'app' })).json()
    expect([allowed, results[0].allowed, results[0].expires_at]).toEqual([null, null, null])
    expect(results[0].checks).toEqual([
      { check: 'project', passed: true, reason: null, hint: null },
      { check: 'state', passed: true, reason: null, hint: null },
      {
        check: 'authoriser',
        passed: null,
        reason: 'decided_elsewhere',
        hint: expect.stringContaining('decides for this project'),
      },
    ])
    const own = await api.ask(person.token, { url: `/v1/projects/${ref}/database/jit` })
    expect(own.json().warnings).toEqual([expect.stringContaining('rules here have no say')])
    expect(JSON.stringify([results, own.json()])).not.toContain('authoriser.example.com')
    await api.deps.tenants.put(ref, { ...input, useJit: false, jitApiUrl })
    expect((await post('/check')).json().allowed).toBe(false)
  })

  test('tells each test of each role, and is no event', async () => {
    await allow(
      rule('app', { networksV4: ['192.0.2.0/24'] }),
      rule('boss', { expiresAtMs: inSeconds(60) * 1000 }),
    )
    const count = api.world.events.length
    const answer = await post('/check', { rhost: '198.51.100.1' })
    expect(answer.statusCode).toBe(200)
    const [app, boss] = answer.json().results
    expect(answer.json()).toMatchObject({ allowed: false, rhost: '198.51.100.1' })
    expect(app).toMatchObject({ role: 'app', allowed: false })
    expect(app.checks).toEqual([
      { check: 'project', passed: true, reason: null, hint: null },
      { check: 'token', passed: true, reason: null, hint: null },
      { check: 'scope', passed: true, reason: null, hint: null },
      { check: 'state', passed: true, reason: null, hint: null },
      { check: 'rule', passed: true, reason: null, hint: null },
      { check: 'role', passed: true, reason: null, hint: null },
      { check: 'expiry', passed: true, reason: null, hint: null },
      { check: 'branch', passed: true, reason: null, hint: null },
      {
        check: 'network',
        passed: false,
        reason: 'network_not_allowed',
        hint: expect.stringContaining('network that the rule names'),
      },
      { check: 'assignable', passed: true, reason: null, hint: null },
    ])
    expect(boss).toMatchObject({ role: 'boss', allowed: false })
    expect(boss.checks.at(-1)).toMatchObject({
      check: 'assignable',
      passed: false,
      reason: 'superuser',
      hint: expect.stringContaining('another role'),
    })
    expect(api.world.events.length).toBe(count)
  })

  test('asks from where the caller is when no address is named, and needs no body', async () => {
    await allow(rule('app', { networksV4: ['127.0.0.0/8'] }))
    const answer = await post('/check')
    expect(answer.json()).toMatchObject({ allowed: true, rhost: '127.0.0.1' })
    expect(answer.json().results[0].warnings).toHaveLength(1)
  })

  test('tells somebody without a rule what is missing', async () => {
    const { results } = (await post('/check', {})).json()
    expect(results).toHaveLength(1)
    expect(results[0]).toMatchObject({ role: null, allowed: false })
    expect(results[0].checks).toContainEqual(
      expect.objectContaining({
        check: 'rule',
        passed: false,
        reason: 'no_rule',
        hint: expect.stringContaining('ask an owner'),
      }),
    )
    expect(results[0].checks.at(-1)).toEqual({
      check: 'assignable',
      passed: null,
      reason: null,
      hint: null,
    })
  })

  test('says that a database which cannot be asked was not asked', async () => {
    await allow(rule('app'))
    await whileUnreachable(async () => {
      const [result] = (await post('/check', { role: 'app' })).json().results
      expect(result.allowed).toBe(true)
      expect(result.checks.at(-1)).toEqual({
        check: 'assignable',
        passed: null,
        reason: 'database_unreachable',
        hint: expect.stringContaining('try again'),
      })
    })
  })
})

async function whileUnreachable(run: () => Promise<void>): Promise<void> {
  const { assignableRoles } = api.deps
  const { judge } = assignableRoles
  assignableRoles.judge = () => Promise.reject(new PoolerError('EUPSTREAM', { values: { ref } }))
  try {
    await run()
  } finally {
    assignableRoles.judge = judge
  }
}

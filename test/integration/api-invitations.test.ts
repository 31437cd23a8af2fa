import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { WebhookMessage } from '../../pooler/webhook/signed-post.ts'
import { type ApiSetup, type Person, setUpApi } from '../support/api-setup.ts'

let api: ApiSetup
let ref: string
let owner: Person
let email: string

beforeAll(async () => {
  api = await setUpApi()
  for (const role of ['app', 'reader']) api.world.addRole(role)
  api.world.addRole('boss', { isAssignable: false, reason: 'superuser' })
})
afterAll(() => api.close())
beforeEach(async () => {
  ref = await api.project()
  owner = await api.person({ [ref]: 'owner' })
  email = `${randomUUID()}@example.com`
  // The window of wrong links is one of the address, which all tests share.
  api.clock.advance(60_000)
})

const day = 86_400
const path = (rest: string, of = ref) => `/v1/projects/${of}/database/jit/${rest}`
const inSeconds = (seconds: number) => Math.floor(api.clock.wallMs() / 1000) + seconds

const invite = (payload: object = {}, by: string = owner.token) =>
  api.ask(by, {
    method: 'POST',
    url: path('invite'),
    headers: { host: 'latchkey.example.com' },
    payload: { email, roles: [{ role: 'app' }], ...payload },
  })
const accept = (payload: object, by: string | null = null, of = ref) =>
  api.ask(by, { method: 'POST', url: path('invite/accept', of), payload })

async function invited(payload: object = {}): Promise<{ token: string; invite_id: string }> {
  const answer = await invite(payload)
  expect(answer.statusCode, answer.body).toBe(200)
  return answer.json()
}

describe('an invitation', () => {
  test('is told with its link to whoever invites, listed without it, and its token lies nowhere', async () => {
    const answer = await invite({ roles: [{ role: 'app', expires_after_seconds: 3600 }] })
    expect(answer.statusCode).toBe(200)
    const { token, link, ...rest } = answer.json()
    const user_roles = [{ role: 'app', expires_after_seconds: 3600 }]
    const expires_at = new Date(api.clock.wallMs() + 7 * day * 1000).toISOString()
    expect(rest).toEqual({ email, invite_id: expect.any(String), user_roles, expires_at })
    const url = new URL(link)
    expect(url.origin + url.pathname + url.search).toBe(`http://latchkey.example.com/invite/${ref}`)
    expect(Object.fromEntries(new URLSearchParams(url.hash.slice(1)))).toEqual({ email, token })
    const list = (await api.ask(owner.token, { url: path('list') })).json()
    expect(list.items).toContainEqual({
      user_id: null,
      primary_email: email,
      user_roles,
      invite_id: rest.invite_id,
      expires_at,
    })
    expect(JSON.stringify(list)).not.toContain(token)
    expect(JSON.stringify(api.world.events)).not.toContain(token)
    const [stored] = await api.deps.invitations.list(ref, api.clock.wallMs())
    expect(JSON.stringify(stored)).not.toContain(token)
  })

  test('accepted by somebody new makes a guest, with rules from now on and a token shown once', async () => {
    const ends = inSeconds(30 * day)
    const { token } = await invited({
      roles: [
        { role: 'app', expires_after_seconds: 3600, reason: 'audit' },
        { role: 'reader', expires_at: ends },
      ],
    })
    api.clock.advance(2 * day * 1000)
    const answer = await accept({ email: email.toUpperCase(), token })
    expect(answer.statusCode, answer.body).toBe(200)
    const made = answer.json()
    expect(made).toEqual({
      user_id: expect.any(String),
      user_roles: [
        { role: 'app', expires_at: inSeconds(3600), reason: 'audit' },
        { role: 'reader', expires_at: ends },
      ],
      token: expect.stringMatching(/^sbp_[0-9a-f]{40}$/),
    })
    const profile = (await api.ask(made.token, { url: '/v1/profile' })).json()
    expect(profile).toMatchObject({ gotrue_id: made.user_id })
    expect(await api.deps.members.roleOf(ref, made.user_id)).toBe('guest')
    const [rule] = (await api.deps.rules.find(ref, made.user_id))?.rules ?? []
    expect(rule?.createdBy).toBe(owner.userId)
    expect(api.world.lastEvent('invitation_accepted')).toMatchObject({
      ref,
      actor: made.user_id,
      details: { is_new: true },
    })
    expect(JSON.stringify(api.world.events)).not.toContain(made.token)
    const list = (await api.ask(owner.token, { url: path('list') })).json()
    expect(list.items.map((one: { user_id: string }) => one.user_id)).toEqual([made.user_id])
  })

  test('is accepted once, also by two at a time', async () => {
    const { token } = await invited()
    const answers = await Promise.all([accept({ email, token }), accept({ email, token })])
    expect(answers.map((one) => one.statusCode).sort()).toEqual([200, 404])
  })

  test('accepted by a member who is signed in makes no second one', async () => {
    const person = await api.person()
    email = `${person.userId}@example.com`
    const { token } = await invited()
    const answer = await accept({ email, token }, person.token)
    expect(answer.json()).toEqual({ user_id: person.userId, user_roles: [{ role: 'app' }] })
    expect(await api.deps.members.roleOf(ref, person.userId)).toBe('guest')
  })

  test('raises nobody who has become a member meanwhile, and keeps their other rules', async () => {
    const person = await api.person()
    email = `${person.userId}@example.com`
    const { token } = await invited()
    await api.deps.members.putMembership(ref, person.userId, 'developer', 'operator')
    await api.ask(owner.token, {
      method: 'PUT',
      url: `/v1/projects/${ref}/database/jit`,
      payload: { user_id: person.userId, roles: [{ role: 'reader' }] },
    })
    const answer = await accept({ email, token }, person.token)
    expect(answer.json().user_roles).toEqual([{ role: 'app' }, { role: 'reader' }])
    expect(await api.deps.members.roleOf(ref, person.userId)).toBe('developer')
  })

  test('is withdrawn by its id, in its own project', async () => {
    const { token, invite_id } = await invited()
    const other = await api.project()
    await api.deps.members.putMembership(other, owner.userId, 'owner', 'operator')
    const remove = (of: string) =>
      api.ask(owner.token, { method: 'DELETE', url: path(`invite/${invite_id}`, of) })
    expect((await remove(other)).statusCode).toBe(404)
    expect((await remove(ref)).statusCode).toBe(200)
    expect((await remove(ref)).statusCode).toBe(404)
    expect((await accept({ email, token })).statusCode).toBe(404)
    expect(api.world.lastEvent('invitation_removed')?.details).toMatchObject({ invite_id, email })
  })

  test('of a member, or of somebody invited already, is 409', async () => {
    const member = await api.person({ [ref]: 'developer' })
    const mine = await invite({ email: `${member.userId.toUpperCase()}@example.com` })
    expect([mine.statusCode, mine.json().message]).toEqual([
      409,
      expect.stringContaining(member.userId),
    ])
    const { invite_id } = await invited()
    const again = await invite({ email: email.toUpperCase() })
    expect([again.statusCode, again.json().message]).toEqual([
      409,
      expect.stringContaining(invite_id),
    ])
    api.clock.advance(7 * day * 1000)
    expect((await invite()).statusCode).toBe(200)
  })

  test.each([
    ['without roles', { roles: [] }, 'roles'],
    ['with a role that may not be given', { roles: [{ role: 'boss' }] }, 'roles.0.role'],
    ['with a role of nobody', { roles: [{ role: 'nobody' }] }, 'roles.0.role'],
    ['of no address', { email: 'nobody' }, 'email'],
    [
      'with two ends',
      { roles: [{ role: 'app', expires_at: 4e9, expires_after_seconds: 60 }] },
      'roles.0',
    ],
    [
      'for more than 90 days',
      { roles: [{ role: 'app', expires_after_seconds: 91 * day }] },
      'roles.0.expires_after_seconds',
    ],
    ['with a mistyped key', { role: [] }, 'role'],
  ])('%s is 400 and names the field', async (_what, payload, field) => {
    const answer = await invite(payload)
    expect(answer.statusCode).toBe(400)
    expect(answer.json().message).toContain(field)
  })

  test('is for those who give rules, and not for a branch', async () => {
    const developer = await api.person({ [ref]: 'developer' })
    expect((await invite({}, developer.token)).json().missing_permissions).toEqual([
      'database_jit_write',
    ])
    const branch = await api.project({ parentRef: ref })
    const answer = await api.ask(owner.token, {
      method: 'POST',
      url: path('invite', branch),
      payload: { email, roles: [{ role: 'app' }] },
    })
    expect([answer.statusCode, answer.json().parent_project_ref]).toEqual([409, ref])
  })
})

describe('what is not accepted', () => {
  test('is answered alike, whatever is wrong', async () => {
    const { token } = await invited()
    const known = await api.person()
    const other = await api.project()
    const answers = [
      await accept({ email, token: 'wrong' }),
      await accept({ email: 'nobody@example.com', token }),
      await accept({ email, token }, null, other),
      await accept({ email, token }, null, 'nowhere'),
      // A stranger's link, signed in as somebody else.
      await accept({ email, token }, known.token),
      await accept({ email, token }, owner.token),
    ]
    api.clock.advance(7 * day * 1000)
    answers.push(await accept({ email, token }))
    for (const answer of answers) {
      expect(answer.statusCode).toBe(404)
      expect(answer.body).toBe(answers[0]?.body)
    }
    expect(await api.deps.members.findByEmail(email)).toBeNull()
  })

  test('is a link for somebody who is a member of something, without being them', async () => {
    const victim = await api.person({ [await api.project()]: 'owner' })
    email = `${victim.userId}@example.com`
    const { token } = await invited()
    const answer = await accept({ email, token })
    expect(answer.statusCode).toBe(404)
    expect((await api.deps.tokens.list(victim.userId)).length).toBe(1)
    expect((await accept({ email, token }, victim.token)).statusCode).toBe(200)
  })

  test('is any by a token that is scoped, revoked or unknown', async () => {
    const person = await api.person()
    email = `${person.userId}@example.com`
    const { token } = await invited()
    const scoped = await api.deps.tokens.create({
      userId: person.userId,
      name: 'x',
      scope: { permissions: ['database_jit_read'], projects: null, roles: null, networks: null },
    })
    expect((await accept({ email, token }, scoped.token.reveal())).statusCode).toBe(403)
    expect((await accept({ email, token }, `sbp_${'0'.repeat(40)}`)).statusCode).toBe(401)
    expect((await accept({ email, token }, person.token)).statusCode).toBe(200)
  })

  test('is refused after twenty wrong ones from one address, unread', async () => {
    const { token } = await invited()
    for (let guess = 0; guess < 20; guess++) await accept({ email, token: `guess ${guess}` })
    const answer = await accept({ email, token })
    expect(answer.statusCode).toBe(429)
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    api.clock.advance(60_000)
    expect((await accept({ email, token })).statusCode).toBe(200)
  })
})

describe('with a webhook', () => {
  test('the link is in the message and in no answer; a full queue leaves no invitation', async () => {
    const messages: WebhookMessage[] = []
    const push = (message: WebhookMessage) => messages.length < 1 && messages.push(message) > 0
    const hooked = await setUpApi(
      { publicUrl: 'https://latchkey.example.com' },
      { inviteWebhook: { push } },
    )
    try {
      hooked.world.addRole('app')
      const project = await hooked.project({ name: 'Shop' })
      const person = await hooked.person({ [project]: 'owner' })
      const send = (to: string) =>
        hooked.ask(person.token, {
          method: 'POST',
          url: path('invite', project),
          payload: { email: to, roles: [{ role: 'app' }] },
        })
      const answer = await send(email)
      expect(Object.keys(answer.json()).sort()).toEqual(
        ['email', 'expires_at', 'invite_id', 'user_roles', 'warnings'].filter(
          (key) => key in answer.json(),
        ),
      )
      const [message] = messages
      expect(message).toMatchObject({
        type: 'invitation.created',
        data: {
          email,
          project: { ref: project, name: 'Shop' },
          invited_by: { user_id: person.userId },
        },
      })
      const link = new URL(String(message?.data.link))
      expect(link.origin).toBe('https://latchkey.example.com')
      const { token } = Object.fromEntries(new URLSearchParams(link.hash.slice(1)))
      expect(answer.body).not.toContain(token)
      const full = await send('second@example.com')
      expect([full.statusCode, full.headers['retry-after']]).toEqual([429, '60'])
      expect(await hooked.deps.invitations.list(project, hooked.clock.wallMs())).toHaveLength(1)
      const accepted = await hooked.ask(null, {
        method: 'POST',
        url: path('invite/accept', project),
        payload: { email, token },
      })
      expect(accepted.statusCode).toBe(200)
    } finally {
      await hooked.close()
    }
  })

  test('whoever invites does not choose where the link leads', async () => {
    const links: unknown[] = []
    const push = ({ data }: WebhookMessage) => links.push(data.link) > 0
    const covers = (name: string) => name === 'latchkey.example.com'
    const tls = { covers, contextFor: () => undefined, defaultPair: {} } as never
    const hooked = await setUpApi({}, { inviteWebhook: { push } })
    Object.assign(hooked.deps.settings, { tls })
    try {
      hooked.world.addRole('app')
      const project = await hooked.project()
      const person = await hooked.person({ [project]: 'owner' })
      const from = async (host: string) => {
        const answer = await hooked.ask(person.token, {
          method: 'POST',
          url: path('invite', project),
          headers: { host },
          payload: { email: `${host.length}@example.com`, roles: [{ role: 'app' }] },
        })
        return answer.statusCode
      }
      for (const host of ['evil.example', '192.0.2.1', '127.0.0.1:99999']) {
        expect(await from(host)).toBe(host.startsWith('127') ? 400 : 421)
      }
      expect(await hooked.deps.invitations.list(project, hooked.clock.wallMs())).toEqual([])
      for (const host of ['latchkey.example.com:8443', 'localhost:4000']) {
        expect(await from(host)).toBe(200)
        expect(new URL(String(links.pop())).host).toBe(host)
      }
    } finally {
      await hooked.close()
    }
  })
})

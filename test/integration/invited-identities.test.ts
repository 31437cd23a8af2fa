// An invitation accepted by somebody who is signed in at the identity provider: they become the member
// whom their JWTs name from then on, and nobody else does.
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { makeTestKey, signedJwt } from '../support/jwt-forge.ts'
import { KeySetServer } from '../support/key-set-server.ts'
import { PersonSession } from '../support/person-session.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let provider: KeySetServer
let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
let email: string

beforeAll(async () => {
  provider = await KeySetServer.start()
  pooler = await RunningPooler.start({ env: provider.env })
})
afterAll(async () => {
  await pooler?.stop()
  await provider?.stop()
})
beforeEach(async () => {
  project = await pooler.project({ input: { enforceSsl: true } })
  owner = await pooler.person(project, { membership: 'owner' })
  email = `${randomUUID()}@example.com`
})
afterEach(() => pooler.settled())

const path = (rest: string, of = project) => `/v1/projects/${of.ref}/database/jit/${rest}`

async function invited(to = email, of = project): Promise<string> {
  const body = { email: to, roles: [{ role: of.people.role }] }
  const made = await pooler.api('POST', path('invite', of), owner.token, body)
  expect(made.status, made.text).toBe(200)
  return (made.body as { token: string }).token
}

const accept = (token: string, bearer: string, of = project) =>
  pooler.api('POST', path('invite/accept', of), bearer, { email, token })

const statusOf = async (bearer: string) => (await pooler.api('GET', '/v1/profile', bearer)).status

test('whoever accepts it while signed in is that member, at the API and at the database', async () => {
  const subject = randomUUID()
  const jwt = provider.jwt(subject)
  expect(await statusOf(jwt)).toBe(401)
  const answer = await accept(await invited(), jwt)
  expect(answer.status, answer.text).toBe(200)
  const made = answer.body as { user_id: string }
  expect(made).toEqual({ user_id: expect.any(String), user_roles: [{ role: project.people.role }] })
  await eventually(async () => (await statusOf(jwt)) === 200)
  // Another JWT of the same person, without any token of ours.
  const profile = await pooler.api('GET', '/v1/profile', provider.jwt(subject))
  expect(profile.body).toMatchObject({ gotrue_id: made.user_id, primary_email: email })
  const inside = await PersonSession.enter(pooler, project, jwt, 'transaction')
  await inside.answers()
  inside.client.close()
  const list = await pooler.api('GET', `/api/members/${made.user_id}/identities`, 'api')
  expect(list.body).toMatchObject({ items: [{ issuer: provider.issuer, subject }] })
  const events = await eventually(async () => {
    const read = await pooler.api('GET', path('events?action=identity_linked'), owner.token)
    const { items } = read.body as { items: { actor: string }[] }
    return items.length > 0 && items
  })
  expect(events).toMatchObject([{ actor: made.user_id }])
})

test('it links once: not two people at a time, and nobody to a second member', async () => {
  const [one, two] = [provider.jwt(randomUUID()), provider.jwt(randomUUID())]
  const token = await invited()
  const answers = await Promise.all([accept(token, one), accept(token, two)])
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 404])
  const [first, second] = [email, `${randomUUID()}@example.com`]
  const linked = answers[0]?.status === 200 ? one : two
  email = second
  expect((await accept(await invited(), linked)).status).toBe(404)
  const { members } = pooler.pooler.control
  expect(await members.findByEmail(second)).toBeNull()
  expect(await members.findByEmail(first)).not.toBeNull()
})

test('one identity in two projects at once becomes one member', async () => {
  const elsewhere = await pooler.project()
  const { members } = pooler.pooler.control
  await members.putMembership(elsewhere.ref, owner.userId, 'owner', 'operator')
  const jwt = provider.jwt(randomUUID())
  const tokens = [await invited(), await invited(email, elsewhere)] as const
  const answers = await Promise.all([accept(tokens[0], jwt), accept(tokens[1], jwt, elsewhere)])
  const won = answers.filter(({ status }) => status === 200)
  expect(won.length).toBeGreaterThanOrEqual(1)
  for (const { status } of answers) expect([200, 404]).toContain(status)
  await eventually(async () => (await statusOf(jwt)) === 200)
  // Known by then, and the invitation was not used up by the attempt.
  for (const [index, of] of [project, elsewhere].entries()) {
    if (answers[index]?.status === 404) {
      expect((await accept(tokens[index] as string, jwt, of)).status).toBe(200)
    }
  }
  const made = await members.findByEmail(email)
  for (const { ref } of [project, elsewhere]) {
    expect(await members.roleOf(ref, made?.userId ?? '')).toBe('guest')
  }
})

test('it makes nobody into a member who is there, whatever the JWT says of its e-mail', async () => {
  const victim = await pooler.person(await pooler.project())
  email = victim.email
  const token = await invited()
  const claims = { email, email_verified: true }
  const jwt = provider.jwt(randomUUID(), claims)
  expect((await accept(token, jwt)).status).toBe(404)
  expect(await statusOf(jwt)).toBe(401)
  expect((await accept(token, victim.token)).status).toBe(200)
})

test('an e-mail that the provider says is another one is refused, like everything else', async () => {
  const token = await invited()
  const subject = randomUUID()
  const refused = [
    await accept(token, provider.jwt(subject, { email: owner.email })),
    await accept('wrong', provider.jwt(subject)),
    await accept(token, provider.jwt(subject), await pooler.project()),
  ]
  for (const { status, text } of refused) {
    expect(status).toBe(404)
    expect(text).toBe(refused[0]?.text)
  }
  const right = provider.jwt(subject, { email: email.toUpperCase() })
  expect((await accept(token, right)).status).toBe(200)
  expect((await accept(token, right)).status).toBe(404)
})

test('a JWT that is not the provider’s, is over, or is a visitor’s accepts nothing', async () => {
  const token = await invited()
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: provider.issuer, sub: randomUUID(), aud: 'somebody else', exp: now + 60 }
  const forged = signedJwt(makeTestKey('ES256', 'key 1'), claims)
  const jwts = [
    forged,
    provider.jwt(randomUUID(), { exp: now - 1 }),
    provider.jwt(randomUUID(), { is_anonymous: true }),
    provider.jwt(randomUUID(), { role: 'anon' }),
    provider.jwt(randomUUID(), { aud: 'somebody else' }),
  ]
  for (const jwt of jwts) expect((await accept(token, jwt)).status).toBe(401)
  expect((await accept(token, provider.jwt(randomUUID()))).status).toBe(200)
})

import { expect, test } from 'vitest'
import { type GuardedAnswer, GuardedRequestError } from '../../../pooler/access/guarded-client.ts'
import { ProviderDocument } from '../../../pooler/access/provider-document.ts'
import { ProviderSignIn } from '../../../pooler/access/provider-sign-in.ts'
import { SecretBox } from '../../../shared/crypto/secret-box.ts'
import { nullLog } from '../../../shared/log.ts'
import { Secret } from '../../../shared/secret.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const issuer = 'https://id.example/realms/a/'
const described = JSON.stringify({
  issuer,
  authorization_endpoint: 'https://id.example/authorize',
  token_endpoint: 'https://id.example/token',
})

/** Answers one after the other, the last for ever. */
function setUp(...answers: (GuardedAnswer | Error)[]) {
  const asked: string[] = []
  const client = {
    ask: async ({ url }: { url: URL }) => {
      asked.push(url.href)
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      if (answer === undefined || answer instanceof Error) throw answer
      return answer
    },
  }
  const clock = new ManualClock()
  const document = new ProviderDocument({ issuer, client, clock, log: nullLog })
  const box = new SecretBox({ current: new Secret('0123456789abcdef0123456789abcdef') })
  const signIn = new ProviderSignIn({
    document,
    client,
    provider: { issuer, read: async () => null },
    clientId: 'x',
    clientSecret: null,
    box,
    clock,
  })
  return { asked, clock, document, signIn }
}

const good = { status: 200, body: described }
const away = new GuardedRequestError('away')
const where = { redirectUri: 'https://here.example/auth/callback', returnTo: '/' }

test('a ticket is worth nothing after ten minutes', async () => {
  const { signIn, clock } = setUp(good)
  const { ticket, location } = await signIn.begin(where)
  const state = new URL(location).searchParams.get('state') ?? ''
  clock.advance(599_999)
  await expect(signIn.finish(ticket, { state })).rejects.toMatchObject({ fault: 'provider' })
  clock.advance(1)
  await expect(signIn.finish(ticket, { state })).rejects.toMatchObject({ fault: 'forgotten' })
})

test('no two sign-ins have a secret in common, and the browser is not shown the verifier', async () => {
  const { signIn } = setUp(good)
  const [one, other] = [await signIn.begin(where), await signIn.begin(where)].map(
    ({ location }) => new URL(location).searchParams,
  )
  for (const name of ['state', 'nonce', 'code_challenge']) {
    expect(one?.get(name)).toHaveLength(43)
    expect(one?.get(name)).not.toBe(other?.get(name))
  }
  expect(one?.get('code_challenge_method')).toBe('S256')
})

test('the description is asked for once an hour, and by many at once only once', async () => {
  const { asked, clock, document } = setUp(good)
  await Promise.all([document.endpoints(), document.endpoints(), document.endpoints()])
  expect(asked).toEqual(['https://id.example/realms/a/.well-known/openid-configuration'])
  clock.advance(3_600_000)
  await document.endpoints()
  expect(asked).toHaveLength(1)
  clock.advance(1)
  await document.endpoints()
  expect(asked).toHaveLength(2)
})

test('a provider that is away is asked every five seconds at most, and what is known is used', async () => {
  const { asked, clock, document } = setUp(away, good, away)
  await expect(document.endpoints()).rejects.toThrow('away')
  await expect(document.endpoints()).rejects.toThrow('away')
  expect(asked).toHaveLength(1)
  clock.advance(5000)
  const endpoints = await document.endpoints()
  clock.advance(3_600_001)
  expect(await document.endpoints()).toBe(endpoints)
  expect(asked).toHaveLength(3)
})

import { beforeEach, describe, expect, it } from 'vitest'
import type { AuthQueryAnswer } from '../../../pooler/auth/auth-query-answer.ts'
import { MockVerifiers } from '../../../pooler/auth/mock-verifier.ts'
import { judgePassword } from '../../../pooler/auth/password-exchange.ts'
import { RoleVerifiers } from '../../../pooler/auth/role-verifiers.ts'
import { makeVerifier, type ScramVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { Secret } from '../../../shared/secret.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { makeRole, makeTenant } from '../../support/tenants.ts'

const source = '192.0.2.1'
const mocks = new MockVerifiers(new Secret(Buffer.alloc(32, 1)))
const asking = makeTenant({ requireUser: false, authQuery: 'SELECT' })
const storing = (password: string, version = 1) =>
  makeTenant({ roles: new Map([['app', makeRole('app', new Secret(password))]]), version })

let clock: ManualClock
let asked: { resolve(answer: AuthQueryAnswer): void; reject(error: Error): void }[]
let noted: (ScramVerifier | null)[]
let verifiers: RoleVerifiers
beforeEach(() => {
  clock = new ManualClock()
  asked = []
  noted = []
  const ask = () =>
    new Promise<AuthQueryAnswer>((resolve, reject) => asked.push({ resolve, reject }))
  const onVerifier = (_tenant: unknown, _role: string, now: ScramVerifier | null) => {
    noted.push(now)
  }
  verifiers = new RoleVerifiers({ authQuery: { ask }, mocks, clock, onVerifier })
})

async function answerOf(password: string, validUntilMs: number | null = null) {
  const verifier = await makeVerifier(new Secret(password), { iterations: 5 })
  return { kind: 'scram', verifier, validUntilMs, usualIterations: 5 } as const
}

describe('RoleVerifiers for stored passwords', () => {
  it('makes the verifier once for each version of the tenant', async () => {
    const [one, same] = await Promise.all([
      verifiers.verifierFor(storing('first'), 'app', source),
      verifiers.verifierFor(storing('first'), 'app', source),
    ])
    expect(one).toMatchObject({ kind: 'scram', validUntilMs: null })
    expect(one.verifier).toBe(same.verifier)
    expect(await judgePassword(new Secret('first'), one.verifier, true)).not.toBe('wrong')
    const changed = await verifiers.verifierFor(storing('second', 2), 'app', source)
    expect(await judgePassword(new Secret('second'), changed.verifier, true)).not.toBe('wrong')
    expect(await judgePassword(new Secret('first'), changed.verifier, true)).toBe('wrong')
    expect(asked).toHaveLength(0)
  })

  it('shows the same salt and iterations before and after a role exists, and after a restart', async () => {
    const unknown = await verifiers.verifierFor(makeTenant(), 'app', source)
    const known = await verifiers.verifierFor(storing('x'), 'app', source)
    expect([unknown.kind, known.kind]).toEqual(['none', 'scram'])
    expect(known.verifier.salt).toEqual(unknown.verifier.salt)
    expect(known.verifier.iterations).toBe(unknown.verifier.iterations)
    expect(known.verifier.storedKey.reveal()).not.toEqual(unknown.verifier.storedKey.reveal())
  })

  it('has none for a role without stored password, and asks no database', async () => {
    const none = await verifiers.verifierFor(makeTenant({ authQuery: 'SELECT' }), 'app', source)
    expect(none).toMatchObject({ kind: 'none', reason: expect.stringMatching(/no password/) })
    expect(asked).toHaveLength(0)
  })
})

describe('RoleVerifiers for auth_query', () => {
  it('asks once for all logins of a role within a second', async () => {
    const logins = [1, 2, 3].map(() => verifiers.verifierFor(asking, 'app', source))
    expect(asked).toHaveLength(1)
    const answer = await answerOf('x')
    asked[0]?.resolve(answer)
    for (const login of logins) expect((await login).verifier).toBe(answer.verifier)
    clock.advance(999)
    expect((await verifiers.verifierFor(asking, 'app', source)).verifier).toBe(answer.verifier)
    expect(asked).toHaveLength(1)
    expect(noted).toEqual([answer.verifier])
  })

  it('uses no answer to a question asked over a second ago, not even one under way', async () => {
    const slow = verifiers.verifierFor(asking, 'app', source)
    clock.advance(1000)
    const fresh = verifiers.verifierFor(asking, 'app', source)
    expect(asked).toHaveLength(2)
    const [before, after] = [await answerOf('old'), await answerOf('new')]
    asked[0]?.resolve(before)
    asked[1]?.resolve(after)
    expect((await slow).verifier).toBe(before.verifier)
    expect((await fresh).verifier).toBe(after.verifier)
  })

  it('keeps roles, tenants and versions of a tenant apart', () => {
    const others = [
      [asking, 'App'],
      [{ ...asking, version: 2 }, 'app'],
      [{ ...asking, id: '4f1c2f5e-0000-4000-8000-000000000002' }, 'app'],
    ] as const
    verifiers.verifierFor(asking, 'app', source).catch(() => {})
    for (const [tenant, role] of others) verifiers.verifierFor(tenant, role, source).catch(() => {})
    expect(asked).toHaveLength(4)
  })

  it('gives a made-up verifier with the usual iterations of the database where there is none', async () => {
    const login = verifiers.verifierFor(asking, 'nobody', source)
    asked[0]?.resolve({ kind: 'none', reason: 'no row', usualIterations: 777 })
    const none = await login
    expect(none).toMatchObject({ kind: 'none', reason: 'no row', verifier: { iterations: 777 } })
    expect(none.verifier.salt).toEqual(mocks.saltFor(asking.ref, 'nobody'))
    expect(noted).toEqual([null])
  })

  it('lets a password in until the instant of VALID UNTIL, also from a remembered answer', async () => {
    const login = verifiers.verifierFor(asking, 'app', source)
    asked[0]?.resolve(await answerOf('x', clock.wallMs() + 500))
    expect((await login).kind).toBe('scram')
    clock.advance(500)
    expect((await verifiers.verifierFor(asking, 'app', source)).kind).toBe('scram')
    clock.advance(1)
    const expired = await verifiers.verifierFor(asking, 'app', source)
    expect(expired).toMatchObject({ kind: 'none', reason: expect.stringMatching(/VALID UNTIL/) })
    expect(asked).toHaveLength(1)
  })

  it('passes an outage on to all who wait for it, and asks again for the next', async () => {
    const outage = new PoolerError('EUPSTREAM', { values: { ref: asking.ref } })
    const logins = [1, 2].map(() => verifiers.verifierFor(asking, 'app', source))
    asked[0]?.reject(outage)
    for (const login of logins) await expect(login).rejects.toBe(outage)
    const next = verifiers.verifierFor(asking, 'app', source)
    expect(asked).toHaveLength(2)
    asked[1]?.resolve(await answerOf('x'))
    expect((await next).kind).toBe('scram')
    expect(noted).toHaveLength(1)
  })
})

import { describe, expect, test } from 'vitest'
import { AuthThrottle } from '../../../pooler/auth/auth-throttle.ts'
import { Authenticator, type LoginQuestion } from '../../../pooler/auth/authenticate.ts'
import { Credentials } from '../../../pooler/auth/credentials.ts'
import type { RoleVerifiers } from '../../../pooler/auth/role-verifiers.ts'
import type { TokenAuth } from '../../../pooler/auth/token-auth.ts'
import { systemClock } from '../../../shared/clock.ts'
import { makeVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { nullLog } from '../../../shared/log.ts'
import { Secret } from '../../../shared/secret.ts'
import { tenantNamed } from '../../support/some-tenant.ts'

const noTokens = { judge: () => Promise.reject(new Error('no token was brought')) }

async function authenticatorFor(password: string): Promise<Authenticator> {
  const verifier = await makeVerifier(new Secret(password), { iterations: 64 })
  const verifierFor = async () => ({ kind: 'scram' as const, verifier, validUntilMs: null })
  return new Authenticator({
    verifiers: { verifierFor } as unknown as RoleVerifiers,
    credentials: new Credentials(),
    throttle: new AuthThrottle(systemClock),
    tokenAuth: noTokens as unknown as TokenAuth,
    clock: systemClock,
    log: nullLog,
  })
}

/** A client of a direct host over TLS that answers the request for a clear password. */
function questionOf(password: string): LoginQuestion {
  return {
    dialog: { send() {}, receive: async () => Buffer.from(`${password}\0`) },
    tenant: tenantNamed('ref'),
    role: 'app',
    address: '192.0.2.1',
    source: '192.0.2.1',
    applicationName: '',
    isTokenAsked: false,
    mayBeToken: true,
    isPrivate: true,
    certificate: null,
    endAccess() {},
    warn() {},
    onRefused() {},
  }
}

describe('clear passwords', () => {
  test('a right one gets in', async () => {
    const authenticator = await authenticatorFor('right')
    await expect(authenticator.authenticate(questionOf('right'))).resolves.toMatchObject({
      method: 'password',
    })
  })

  test('of a hundred guesses at once ten are answered', async () => {
    const authenticator = await authenticatorFor('guess 99')
    const guesses = Array.from({ length: 100 }, (_, index) => questionOf(`guess ${index}`))
    const answers = await Promise.all(
      guesses.map((guess) =>
        authenticator.authenticate(guess).then(
          () => 'in',
          (error: unknown) => (error instanceof PoolerError ? error.code : 'fault'),
        ),
      ),
    )
    expect(answers.filter((answer) => answer === 'EWRONGPASSWORD')).toHaveLength(10)
    expect(answers.filter((answer) => answer === 'ECIRCUITBREAKER')).toHaveLength(90)
  })
})

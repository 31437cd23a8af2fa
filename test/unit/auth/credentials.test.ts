import { inspect } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import { Credentials } from '../../../pooler/auth/credentials.ts'
import { deriveScramKeys } from '../../../shared/crypto/scram-keys.ts'
import { makeVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../../shared/secret.ts'
import { makeRole, makeTenant } from '../../support/tenants.ts'

async function login(password = 'right') {
  const verifier = await makeVerifier(new Secret(password), { iterations: 1 })
  const keys = await deriveScramKeys(new Secret(password), verifier.salt, 1)
  return { verifier, ...keys }
}

const tenant = makeTenant({ requireUser: false, authQuery: 'SELECT' })
let credentials: Credentials
beforeEach(() => {
  credentials = new Credentials()
})

describe('Credentials', () => {
  it('knows nothing of a role that nobody has logged in as', () => {
    expect(credentials.forServer(tenant, 'app')).toBeNull()
  })

  it('prefers the stored password to remembered keys', async () => {
    const password = new Secret('stored')
    const storing = { ...tenant, roles: new Map([['app', makeRole('app', password)]]) }
    const { clientKey, verifier } = await login()
    credentials.rememberClientKey(storing, 'app', clientKey, verifier)
    expect(credentials.forServer(storing, 'app')).toEqual({ password })
  })

  it('gives the keys of the latest login to that tenant and role only', async () => {
    const first = await login('first')
    const latest = await login('latest')
    for (const { clientKey, verifier } of [first, latest]) {
      credentials.rememberClientKey(tenant, 'app', clientKey, verifier)
    }
    expect(credentials.forServer(tenant, 'app')).toEqual({
      clientKey: latest.clientKey,
      serverKey: latest.verifier.serverKey,
    })
    const strangers = [
      makeTenant({ id: '4f1c2f5e-0000-4000-8000-000000000002' }),
      { ...tenant, dbHost: '10.0.0.1' },
      { ...tenant, dbPort: tenant.dbPort + 1 },
    ]
    for (const stranger of strangers) expect(credentials.forServer(stranger, 'app')).toBeNull()
    expect(credentials.forServer(tenant, 'App')).toBeNull()
    expect(credentials.forServer({ ...tenant, version: 99 }, 'app')).not.toBeNull()
  })

  it('forgets keys when the database has another verifier or none', async () => {
    const { clientKey, verifier } = await login()
    const other = (await login()).verifier
    for (const now of [other, null]) {
      credentials.rememberClientKey(tenant, 'app', clientKey, verifier)
      credentials.noteVerifier(tenant, 'app', { ...verifier })
      expect(credentials.forServer(tenant, 'app')).not.toBeNull()
      credentials.noteVerifier(tenant, 'app', now)
      expect(credentials.forServer(tenant, 'app')).toBeNull()
    }
  })

  it('takes the same key again, and no other one for the same verifier', async () => {
    const { clientKey, verifier } = await login()
    const stranger = (await login()).clientKey
    for (const _ of [1, 2]) credentials.rememberClientKey(tenant, 'app', clientKey, verifier)
    const remember = () => credentials.rememberClientKey(tenant, 'app', stranger, verifier)
    expect(remember).toThrow(/proved against/)
    expect(credentials.forServer(tenant, 'app')).toEqual({
      clientKey,
      serverKey: verifier.serverKey,
    })
  })

  it('tells of the first login too, but where a password is stored', async () => {
    const told: string[] = []
    credentials.onRenewed((_ref, role) => told.push(role))
    const roles = new Map([['stored', makeRole('stored', new Secret('stored'))]])
    const moved = { ...tenant, dbPort: tenant.dbPort + 1, roles }
    const { clientKey, verifier } = await login()
    const logIn = (at: typeof tenant, role: string) =>
      credentials.rememberClientKey(at, role, clientKey, verifier)
    logIn(tenant, 'app')
    logIn(tenant, 'app')
    expect(told).toEqual(['app'])
    logIn(moved, 'app')
    logIn(moved, 'stored')
    expect(told).toEqual(['app', 'app'])
  })

  it('takes no key that does not belong to the verifier', async () => {
    const { clientKey } = await login()
    const { verifier } = await login()
    const remember = () => credentials.rememberClientKey(tenant, 'app', clientKey, verifier)
    expect(remember).toThrow(/proved against/)
  })

  it('prints no key', async () => {
    const { clientKey, verifier } = await login()
    credentials.rememberClientKey(tenant, 'app', clientKey, verifier)
    const printed = inspect(credentials.forServer(tenant, 'app'), { depth: 9 })
    expect(printed).toBe('{ clientKey: [redacted], serverKey: [redacted] }')
  })
})

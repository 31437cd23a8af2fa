// Logins that end between the answer "you are who you say" and the first ReadyForQuery: whoever is
// let in must leave everything again, and whoever was told to go must not get in after all.
import { afterEach, expect, test } from 'vitest'
import type { PersonLogin } from '../../pooler/auth/token-auth.ts'
import { PoolerError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { makeRole, makeTenant } from '../support/tenants.ts'

const postgres = sharedPostgres()
let bare: BareDataPlane
afterEach(() => bare.stop())

function tenant() {
  const role = makeRole(postgres.superuser, new Secret(postgres.password))
  const { host: dbHost, port: dbPort } = postgres
  return makeTenant({ dbHost, dbPort, roles: new Map([[role.role, role]]) })
}

/** Somebody with a token, who notes how their session ended. */
function personWhoLeaves(left: string[]): PersonLogin {
  const leave = (reason: string) => void left.push(reason)
  const who = { userId: 'someone', email: null, sessionId: 'one' }
  const person = { ...who, notice: null, upstreamSecret: null, leave }
  return person as unknown as PersonLogin
}

test('a person for whom there is no pool leaves the live sessions', async () => {
  const left: string[] = []
  bare = await BareDataPlane.start({
    tenant: tenant(),
    config: { poolsPerTenantMax: 1 },
    authenticate: async () => ({ method: 'token', person: personWhoLeaves(left) }),
  })
  const login = { port: bare.transactionPort, user: bare.userOf(postgres.superuser) }
  const first = await RawClient.loggedIn(login)
  await expect(RawClient.loggedIn({ ...login, database: 'another' })).rejects.toThrow('EMAXPOOLS')
  await eventually(() => expect(left).toEqual(['EMAXPOOLS']))
  first.close()
})

test('pools that nobody is in any more keep nobody out', async () => {
  const config = { poolsPerTenantMax: 3 }
  bare = await BareDataPlane.start({ tenant: tenant(), config })
  const login = { port: bare.transactionPort, user: bare.userOf(postgres.superuser) }
  const first = await RawClient.loggedIn(login)
  for (let number = 0; number < 5; number++) {
    const nowhere = RawClient.loggedIn({ ...login, database: uniqueName('nothing') })
    await expect(nowhere).rejects.toThrow('does not exist')
  }
  const other = await RawClient.loggedIn({ ...login, port: bare.sessionPort })
  await first.query('select 1')
  await first.untilReady()
  for (const client of [first, other]) client.close()
})

test('a client that is told to go while it logs in runs nothing any more', async () => {
  const left: string[] = []
  const table = uniqueName('late')
  let isWelcome = true
  bare = await BareDataPlane.start({
    tenant: tenant(),
    authenticate: async ({ endAccess }) => {
      if (isWelcome) return { method: 'password', person: null }
      endAccess(new PoolerError('EACCESSENDED', { values: { reason: 'rule removed' } }))
      return { method: 'token', person: personWhoLeaves(left) }
    },
  })
  const user = bare.userOf(postgres.superuser)
  // With a server there already, a login has nothing to wait for.
  const first = await RawClient.loggedIn({ port: bare.transactionPort, user })
  await first.query('select 1')
  await first.untilReady()
  isWelcome = false
  const client = await RawClient.connect({ port: bare.transactionPort })
  await client.send(
    Buffer.concat([raw.startupMessage({ user }), raw.query(`create table ${table} ()`)]),
  )
  await client.readAll()
  first.close()
  await bare.settled()
  expect(await postgres.query('select to_regclass($1) as found', [table])).toEqual([
    { found: null },
  ])
  expect(left).toHaveLength(1)
  client.close()
})

test('a project that is deleted while its client logs in is not found, which is no fault of ours', async () => {
  bare = await BareDataPlane.start({
    tenant: tenant(),
    authenticate: async () => {
      bare.tenant = null as unknown as ReturnType<typeof tenant>
      return { method: 'password', person: null }
    },
  })
  const { ref } = bare.tenant
  const user = `${postgres.superuser}.${ref}`
  const login = RawClient.loggedIn({ port: bare.transactionPort, user })
  await expect(login).rejects.toThrow('ENOTFOUND')
})

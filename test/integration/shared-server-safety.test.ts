// What one client sends must not be felt by the next client on the same server. Each test here was an
// attack: a pool of one server, a client that misbehaves, and a neighbour that asks a plain question.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Secret } from '../../shared/secret.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { rowsOf, typesOf } from '../support/raw-replies.ts'
import { makeRole, makeTenant } from '../support/tenants.ts'

const postgres = sharedPostgres()
let bare: BareDataPlane

beforeAll(async () => {
  const role = makeRole(postgres.superuser, new Secret(postgres.password), { poolSize: 1 })
  const roles = new Map([[role.role, role]])
  const { host: dbHost, port: dbPort } = postgres
  const config = { clientSendTimeoutMs: 1000 }
  bare = await BareDataPlane.start({ tenant: makeTenant({ dbHost, dbPort, roles }), config })
})
afterAll(() => bare.stop())

/** The bare data plane lets everybody in without a password. */
function clientOf(): Promise<RawClient> {
  return RawClient.loggedIn({ port: bare.transactionPort, user: bare.userOf(postgres.superuser) })
}

async function neighbourIsWell(): Promise<void> {
  const neighbour = await clientOf()
  await neighbour.query('select 2')
  expect(typesOf(await neighbour.untilReady())).toBe('TDCZ')
  await neighbour.terminate()
  neighbour.close()
}

/** Messages that Postgres answers, or hangs up on, though nothing is owed for them. */
const spoilt = [
  ['a Flush with a body', raw.message('H', Buffer.from('x'))],
  ['a Sync with a body', raw.message('S', Buffer.from('x'))],
  ['a CopyDone over the limit of small messages', raw.message('c', Buffer.alloc(20_000))],
  ['a CopyFail over the limit of small messages', raw.message('f', Buffer.alloc(20_000, 'x'))],
] as const

test.each(spoilt)('%s behind a query ends its sender and nobody else', async (_name, bytes) => {
  const client = await clientOf()
  await client.send(Buffer.concat([raw.query('select 1'), bytes]))
  await neighbourIsWell()
  await client.readAll()
  await neighbourIsWell()
  client.close()
})

test.each(spoilt)('%s from a client without a server ends it', async (_name, bytes) => {
  const client = await clientOf()
  await client.send(bytes)
  const [error] = await client.readAll()
  expect(error?.type).toBe('E')
  expect(error?.body.toString()).toContain('08P01')
  client.close()
})

test('a client that stops in the middle of a message does not keep its server for ever', async () => {
  const client = await clientOf()
  await client.send(raw.messageHeader('Q', 100_000))
  await neighbourIsWell()
  const [error] = await client.readAll()
  expect(error?.body.toString()).toContain('left a message unfinished')
  client.close()
})

test('nor does one that stops in a short message have a server', async () => {
  const client = await clientOf()
  const message = raw.query("select 'whole'")
  await client.send(message.subarray(0, 10))
  await neighbourIsWell()
  await client.send(message.subarray(10))
  expect(rowsOf(await client.untilReady())).toEqual([['whole']])
  client.close()
})

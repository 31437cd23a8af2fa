// A project has moved to another port while a client's statement runs at the old one: what concerns that
// server goes where the server is, and nothing of it to the new place, where its process id is another's.
import net, { type AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PoolerError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import type { LoginResult } from '../support/raw-login.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'
import { StallingProxy } from '../support/stalling-proxy.ts'

let oldPlace: StallingProxy
let newPlace: net.Server
let dialsOfNew = 0
let pooled: PooledPostgres
let client: RawClient
let login: LoginResult

/** No database: who comes is counted and turned away. */
beforeEach(async () => {
  dialsOfNew = 0
  newPlace = net.createServer((socket) => {
    dialsOfNew++
    socket.destroy()
  })
  await new Promise<void>((resolve) => newPlace.listen(0, '127.0.0.1', resolve))
  oldPlace = await StallingProxy.open(sharedPostgres().host, sharedPostgres().port)
  const config = { serverSilenceProbeMs: 1000 }
  pooled = await PooledPostgres.start(sharedPostgres(), { upstreamPort: oldPlace.port, config })
  ;({ client, login } = await pooled.login('transaction'))
})
afterEach(async () => {
  await pooled.stop()
  await oldPlace.close()
  newPlace.close()
})

async function runAndMove(sql: string): Promise<void> {
  await client.query(sql)
  await pooled.running('pg_sleep')
  const { pooler } = pooled
  pooler.tenant = { ...pooler.tenant, dbPort: (newPlace.address() as AddressInfo).port }
}

const isOver = async () =>
  !(await pooled.backends()).some(({ state, query }) => state === 'active' && /sleep/.test(query))

test('a cancel reaches it', async () => {
  await runAndMove('select pg_sleep(600)')
  await client.cancel(login.processId, login.secret)
  const [error] = (await client.untilReady()).filter(({ type }) => type === 'E')
  expect(errorFields(error?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'ERROR', C: '57014' })
  expect(dialsOfNew).toBe(0)
})

test('a probe finds it at work and lets it end', async () => {
  await runAndMove('select pg_sleep(3)')
  const before = oldPlace.seen
  await eventually(() => oldPlace.seen > before)
  expect(typesOf(await client.untilReady())).toBe('TDCZ')
  expect(dialsOfNew).toBe(0)
})

test('what a client that is gone has left running is stopped', async () => {
  await runAndMove('select pg_sleep(600)')
  client.close()
  await eventually(isOver)
  expect(dialsOfNew).toBe(0)
})

test.each(['the password of before', 'another password'])(
  'what runs when the project ends is terminated where cancels are caught, with %s',
  async (which) => {
    const catching =
      'do $$ begin loop begin perform pg_sleep(600); exception when query_canceled then null; end; end loop; end $$'
    await runAndMove(catching)
    if (which === 'another password')
      pooled.changeRole({ password: new Secret('of the new place') })
    const { plane, tenant } = pooled.pooler
    await plane.endClientsOf(
      tenant.ref,
      new PoolerError('ENOTFOUND', { values: { ref: tenant.ref } }),
    )
    await eventually(isOver)
    expect(dialsOfNew).toBe(0)
  },
)

// An upstream that says what no Postgres says, or at a bad moment. It may spoil its own project's
// sessions; it may not fill our memory, nor have one client read what was meant for another.
import { afterEach, expect, test } from 'vitest'
import { placeOf } from '../../pooler/pool/server-place.ts'
import { Upstream } from '../../pooler/pool/upstream.ts'
import { systemClock } from '../../shared/clock.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { typesOf } from '../support/raw-replies.ts'
import { ScriptedServer, type Step } from '../support/scripted-server.ts'
import {
  expectTypes,
  finish,
  ignoreAll,
  send,
  trustLogin,
  welcome,
} from '../support/scripted-steps.ts'
import { makeRole, makeTenant } from '../support/tenants.ts'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

async function planeOver(...scripts: (readonly Step[])[]): Promise<BareDataPlane> {
  const upstream = await ScriptedServer.start(scripts)
  const role = makeRole('app', null, { poolSize: 1, checkoutTimeoutMs: 2000 })
  const roles = new Map([['app', role]])
  const bare = await BareDataPlane.start({ tenant: makeTenant({ dbPort: upstream.port, roles }) })
  stops.push(() => upstream.stop())
  stops.push(() => bare.stop())
  return bare
}

const clientOf = (bare: BareDataPlane): Promise<RawClient> =>
  RawClient.loggedIn({ port: bare.transactionPort, user: bare.userOf('app') })

const answer = Buffer.concat([raw.commandComplete('SELECT 0'), raw.readyForQuery('I')])

test('reports without end are not kept: the server is given up', async () => {
  const reports = Array.from({ length: 100_000 }, (_, n) => raw.parameterStatus(`p${n}`, 'value'))
  const bare = await planeOver([
    ...trustLogin(),
    expectTypes('Q'),
    send([...reports, answer]),
    ignoreAll(),
    finish(),
  ])
  const client = await clientOf(bare)
  await client.query('select')
  const messages = await client.readAll()
  expect(messages.at(-1)?.body.toString()).toContain('EPROTOCOL')
  expect(messages.length).toBeLessThan(10_000)
  client.close()
})

test('a login with reports without end opens no server', async () => {
  const parameters = Object.fromEntries(
    Array.from({ length: 40 }, (_, n) => [`p${n}`, 'x'.repeat(1000)]),
  )
  const bare = await planeOver([...trustLogin({ parameters }), ignoreAll(), finish()])
  await expect(clientOf(bare)).rejects.toThrow('EUPSTREAM')
})

test('a message that is cut behind ReadyForQuery is not shared out between two clients', async () => {
  const notification = raw.notificationResponse(1, 'channel', 'x'.repeat(100))
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const bare = await planeOver([
    ...trustLogin(),
    expectTypes('Q'),
    send([answer, notification.subarray(0, 50)]),
    async () => await released,
    send(notification.subarray(50)),
    expectTypes('Q'),
    send(answer),
    ignoreAll(),
    finish(),
  ])
  const [first, second] = [await clientOf(bare), await clientOf(bare)]
  await first.query('select')
  await first.untilReady()
  await second.query('select')
  await eventually(() => expect([...bare.plane.pools.entries()][0]?.pool.waiters).toBe(1))
  release()
  expect(typesOf(await second.untilReady())).toBe('CZ')
  expect(typesOf([await first.next()])).toBe('A')
  expect(first.restBytes).toBe(0)
  first.close()
  second.close()
})

test('what comes in part behind the ReadyForQuery of a login is not taken for another message', async () => {
  const report = raw.parameterStatus('TimeZone', 'Asia/Tokyo')
  const bare = await planeOver(
    [...trustLogin().slice(0, 1), send([welcome(), report.subarray(0, 9)]), ignoreAll(), finish()],
    [...trustLogin(), expectTypes('Q'), send(answer), ignoreAll(), finish()],
  )
  const client = await clientOf(bare)
  await eventually(() => {
    const [server] = [...bare.plane.pools.entries()].flatMap(({ pool }) => [...pool.servers])
    expect(server?.isBetweenMessages).toBe(false)
  })
  await client.query('select')
  expect(typesOf(await client.untilReady())).toBe('CZ')
  client.close()
})

test('an upstream that never closes a cancel takes no auxiliary connections of other projects', async () => {
  const upstreamOf = (port: number, ref: string): Upstream =>
    new Upstream({
      tenant: () => makeTenant({ ref, dbPort: port }),
      role: 'app',
      database: 'db',
      credentials: () => null,
      serverConnectTimeoutMs: 1000,
      serverLoginTimeoutMs: 1500,
      globalCa: null,
      clock: systemClock,
    })
  let [open, most] = [0, 0]
  const left = (): void => {
    open--
  }
  const hanging = await ScriptedServer.start(() => {
    most = Math.max(most, ++open)
    return [ignoreAll(), finish(), left]
  })
  const row = Buffer.concat([raw.parseComplete(), raw.bindComplete(), answer])
  const honest = await ScriptedServer.start([
    [...trustLogin(), expectTypes('PBES'), send(row), ignoreAll(), finish()],
  ])
  stops.push(() => hanging.stop())
  stops.push(() => honest.stop())
  const bad = upstreamOf(hanging.port, 'bad')
  const place = placeOf('127.0.0.1', makeTenant({ dbPort: hanging.port }), null)
  const key = { place, processId: 1, cancelSecret: Buffer.alloc(4) }
  const cancels = Array.from({ length: 100 }, () => bad.cancel(key))
  const { error } = await upstreamOf(honest.port, 'good').ask('select', [], 'test')
  expect(error).toBeNull()
  await Promise.all(cancels)
  // In turns of 25; those before may be closing.
  expect(most).toBeLessThanOrEqual(50)
})

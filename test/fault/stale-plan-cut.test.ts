// A stale plan whose repair meets bytes at bad moments: what the client sends meanwhile is read once,
// and what it is told late stands between two messages. Postgres leaves these moments to chance.
import { afterEach, expect, test } from 'vitest'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { typesOf } from '../support/raw-replies.ts'
import { ScriptedServer, type Step } from '../support/scripted-server.ts'
import {
  expectTypes,
  finish,
  holdUntil,
  ignoreAll,
  send,
  trustLogin,
} from '../support/scripted-steps.ts'
import { makeRole, makeTenant } from '../support/tenants.ts'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

const stale = raw.errorResponse({
  S: 'ERROR',
  V: 'ERROR',
  C: '0A000',
  M: 'cached plan must not change result type',
  R: 'RevalidateCachedQuery',
})
/** In one piece with an error, it tells that the pooler has read that. */
const notice = raw.noticeResponse({ S: 'NOTICE', C: '00000', M: 'from the server' })
const ready = raw.readyForQuery('I')
const answer = [raw.bindComplete(), raw.commandComplete('SELECT 0'), ready]
const use = [raw.bind({ statement: 's' }), raw.execute()]
/** The statement is made anew, and the batch is there once more. */
const again: Step[] = [
  expectTypes('CPBES'),
  send([raw.closeComplete(), raw.parseComplete(), ...answer]),
]

function gate(): [Promise<void>, () => void] {
  let open = (): void => {}
  return [new Promise((resolve) => (open = resolve)), () => open()]
}

/** A client that has prepared a statement, on a server that goes on by these steps. */
async function start(...steps: Step[]): Promise<RawClient> {
  const upstream = await ScriptedServer.start([
    [
      ...trustLogin(),
      expectTypes('PS'),
      send([raw.parseComplete(), ready]),
      ...steps,
      ignoreAll(),
      finish(),
    ],
  ])
  stops.push(() => upstream.stop())
  const roles = new Map([['app', makeRole('app', null, { poolSize: 1 })]])
  const bare = await BareDataPlane.start({ tenant: makeTenant({ dbPort: upstream.port, roles }) })
  stops.push(() => bare.stop())
  const client = await RawClient.loggedIn({ port: bare.transactionPort, user: bare.userOf('app') })
  stops.push(() => client.terminate())
  await client.send(Buffer.concat([raw.parse('s', 'select * from t'), raw.sync()]))
  await client.untilReady()
  return client
}

test('a client goes on by more than is kept while its batch is being run again', async () => {
  const [released, release] = gate()
  const client = await start(
    expectTypes('BES'),
    send([notice, stale]),
    holdUntil(released),
    send(ready),
    ...again,
    expectTypes('Q'),
    send([raw.commandComplete('SELECT 0'), ready]),
  )
  await client.send(Buffer.concat([...use, raw.sync()]))
  await client.expect('N')
  const long = raw.query(`select '${'x'.repeat(100_000)}'`)
  await client.send(long.subarray(0, 3))
  await client.send(long.subarray(3))
  release()
  expect(typesOf(await client.untilReadies(2))).toBe('2CZCZ')
})

test('the beginning of a header behind the Sync is read once', async () => {
  const [released, release] = gate()
  const client = await start(
    expectTypes('BE'),
    send([stale, notice]),
    expectTypes('S'),
    holdUntil(released),
    send(ready),
    ...again,
    expectTypes('Q'),
    send([raw.commandComplete('SELECT 0'), ready]),
  )
  await client.send(Buffer.concat(use))
  await client.expect('N')
  const next = raw.query('select 1')
  await client.send(Buffer.concat([raw.sync(), next.subarray(0, 3)]))
  release()
  expect(typesOf(await client.untilReady())).toBe('2CZ')
  await client.send(next.subarray(3))
  expect(typesOf(await client.untilReady())).toBe('CZ')
})

test('an error that the client gets after all waits for the end of a notice', async () => {
  const [released, release] = gate()
  const client = await start(
    expectTypes('DS'),
    send([raw.parameterDescription([]), raw.rowDescription(['a']), ready]),
    expectTypes('BE'),
    send([stale, notice.subarray(0, 9)]),
    holdUntil(released),
    send(notice.subarray(9)),
    expectTypes('S'),
    send(ready),
  )
  await client.send(Buffer.concat([raw.describeMessage('statement', 's'), raw.sync()]))
  expect(typesOf(await client.untilReady())).toBe('tTZ')
  await client.send(Buffer.concat(use))
  await eventually(() => expect(client.restBytes).toBe(9))
  await client.send(raw.sync())
  release()
  expect(typesOf(await client.untilReady())).toBe('NEZ')
})

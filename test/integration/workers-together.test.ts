// What one worker is told and all have to know: cancels, wrong secrets, counts of clients, ends.
import { connect } from 'node:net'
import { SignJWT } from 'jose'
import type { Client } from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { cancelRequest } from '../../shared/protocol/frontend-messages.ts'
import { eventually } from '../support/eventually.ts'
import { poolSize, type RunningWorkers, ref, WorkerWorld } from '../support/worker-world.ts'

let world: WorkerWorld
let running: RunningWorkers
beforeAll(async () => {
  world = await WorkerWorld.make()
  running = await world.start()
})
afterEach(() => world.leave())
afterAll(async () => {
  await world.end()
  await world.remove()
})

/** Fulfilled when the pooler has closed the connection, as drivers take it. */
function cancel(client: Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  const secret = Buffer.alloc(4)
  secret.writeInt32BE(secretKey)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: running.ports.transaction })
    socket.once('error', reject)
    socket.once('close', () => resolve())
    socket.end(cancelRequest(processID, secret))
  })
}

const codeOf = (done: Promise<unknown>): Promise<string> =>
  done.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  )

async function api(method: string, path: string): Promise<number> {
  const jwt = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1 minute')
    .sign(Buffer.from(world.apiSecret))
  const answer = await fetch(`http://127.0.0.1:${running.ports.api}${path}`, {
    method,
    headers: { authorization: `Bearer ${jwt}` },
  })
  return answer.status
}

test('a cancel reaches the client in whatever worker it is, and nobody else', async () => {
  const clients = await world.clients(running, poolSize)
  const asleep = clients.map((client) => codeOf(client.query('SELECT pg_sleep(60)')))
  await eventually(async () => (await world.servers("query LIKE '%pg_sleep%'")) === poolSize)
  // Each request is taken by the worker whose turn it is, seldom by the one that knows the key.
  for (const [at, client] of clients.slice(1).entries()) {
    await eventually(async () => {
      await cancel(client)
      return (await Promise.race([asleep[at + 1], 'asleep'])) === '57014'
    })
  }
  expect(await Promise.race([asleep[0], 'asleep'])).toBe('asleep')
  await cancel(clients[0] as Client)
  expect(await asleep[0]).toBe('57014')
})

test('what an operator terminates ends in all workers', async () => {
  const clients = await world.clients(running, 6)
  const ended = new Set<Client>()
  for (const client of clients) client.once('end', () => ended.add(client))
  expect(await api('GET', `/api/tenants/${ref}/terminate`)).toBeLessThan(300)
  await eventually(() => ended.size === clients.length)
})

/** `name{labels}` to value. */
async function scrape(): Promise<Map<string, number>> {
  const answer = await fetch(`http://127.0.0.1:${running.ports.api}/metrics`)
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && line[0] !== '#')
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

test('metrics of any worker are those of all together', async () => {
  const clients: Client[] = []
  await eventually(async () => {
    clients.push(await world.client(running))
    return clients.length === 4
  })
  for (const client of clients) await client.query('SELECT 1')
  const sumOf = (samples: ReadonlyMap<string, number>, name: string): number =>
    [...samples].reduce((sum, [key, value]) => sum + (key.startsWith(`${name}{`) ? value : 0), 0)
  const samples = await eventually(async () => {
    const now = await scrape()
    expect(sumOf(now, 'pooler_clients')).toBe(clients.length)
    // Of a worker that took too long for this scrape nothing is told.
    expect(now.get('pooler_workers{state="answered"}')).toBe(2)
    return now
  })
  expect(sumOf(samples, 'pooler_servers_max')).toBe(poolSize)
  expect(samples.get('pooler_workers{state="silent"}')).toBe(0)
  for (const worker of ['0', '1']) {
    expect(samples.get(`pooler_memory_bytes{worker="${worker}",kind="resident"}`)).toBeGreaterThan(
      0,
    )
  }
})

test('limits of clients hold over all workers', async () => {
  await world.put({ defaultMaxClients: 3 })
  // Those who come before the change is known get in; then nobody does, whichever worker is asked.
  await eventually(async () => {
    const codes = [await codeOf(world.client(running)), await codeOf(world.client(running))]
    return codes.every((code) => code === '53300')
  })
  world.leave()
  await eventually(async () => (await codeOf(world.client(running))) === 'done')
  await world.put({})
})

test('wrong secrets of operators count in all workers together', async () => {
  const logIn = (password: string) =>
    codeOf(world.client(running, { user: 'latchkey', password, database: 'latchkey' }))
  for (let turn = 0; turn < 10; turn++) expect(await logIn('wrong')).toBe('28P01')
  // One more with the right password, in each worker.
  await eventually(async () => {
    const both = [await logIn(world.adminPassword), await logIn(world.adminPassword)]
    return both.every((code) => code === '28000')
  })
})

// The last one, with no limit in the way: who guesses is kept out for two minutes.
test('wrong secrets count in all workers together', async () => {
  const logIn = (password: string) => codeOf(world.client(running, { password }))
  const codes: string[] = []
  for (let turn = 0; turn < 10; turn++) codes.push(await logIn('wrong'))
  expect(new Set(codes)).toEqual(new Set(['28P01']))
  // One more with the right password, in each worker.
  await eventually(async () => {
    const both = [await logIn(world.password), await logIn(world.password)]
    return both.every((code) => code !== 'done' && code !== '28P01')
  })
})

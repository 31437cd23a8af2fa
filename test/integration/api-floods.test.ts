// Connections to the API from one source that wants all of them.
import { once } from 'node:events'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { RunningPooler } from '../support/running-pooler.ts'

let pooler: RunningPooler
beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())

test('connections of one source leave room for the health check of another', async () => {
  const { hostname, port } = new URL(pooler.apiUrl)
  const sockets: Socket[] = []
  try {
    for (let index = 0; index < 520; index++) {
      const socket = connect({ host: hostname, port: Number(port), localAddress: '127.0.0.2' })
      socket.on('error', () => {})
      sockets.push(socket)
    }
    // Those beyond the share of a proxy are closed.
    await eventually(() => sockets.filter((one) => one.closed).length === 520 - 384)
    const asked = get(`${pooler.apiUrl}/api/health`, { agent: false })
    const [answer] = await once(asked, 'response')
    answer.resume()
    expect(answer.statusCode).toBe(204)
  } finally {
    for (const socket of sockets) socket.destroy()
  }
})

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { turnedAwayMax } from '../../pooler/config/limits.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { makeTenant } from '../support/tenants.ts'

let bare: BareDataPlane
beforeAll(async () => {
  bare = await BareDataPlane.start({ tenant: makeTenant(), config: { clientsMax: 1 } })
})
afterAll(() => bare.stop())

/** A client that does not close its end when it is told to go. */
async function stubborn(): Promise<Socket> {
  const port = bare.transactionPort
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
  await once(socket, 'connect')
  return socket
}

async function lastWords(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end').catch(() => {})
  return Buffer.concat(chunks).toString()
}

test('of a flood beyond the limit of clients a few are told why, and no more sockets are held', async () => {
  const first = await stubborn()
  const flood = await Promise.all(Array.from({ length: 8 * turnedAwayMax }, stubborn))
  const answers = await Promise.all(flood.map(lastWords))
  const told = answers.filter((words) => words.includes('EMAXCONNPROCESS'))
  expect(told.length).toBeGreaterThan(0)
  expect(told.length).toBeLessThan(flood.length)
  for (const socket of [first, ...flood]) socket.destroy()
})

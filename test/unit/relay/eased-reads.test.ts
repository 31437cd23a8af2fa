import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readChunk } from '../../../pooler/client/socket-reading.ts'
import { HandleTransport, openHandleTransport } from '../../../pooler/relay/handle-transport.ts'
import { eventually } from '../../support/eventually.ts'
import { easeReads } from '../../support/fast-io.ts'

let server: Server
const sockets: Socket[] = []

beforeEach(async () => {
  server = createServer({ pauseOnConnect: false }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  server.close()
})

/** Our end, of which nothing has been read, and the client's. */
async function pair(): Promise<{ ours: Socket; client: Socket }> {
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection')
  const client = connect(port, '127.0.0.1')
  const [ours] = (await accepted) as [Socket]
  ours.on('error', () => {})
  easeReads(ours)
  sockets.push(ours, client)
  return { ours, client }
}

test('what is read of one socket outlives what is read of another', async () => {
  const one = await pair()
  const other = await pair()
  one.client.write('one')
  const first = await readChunk(one.ours)
  other.client.write('other')
  const second = await readChunk(other.ours)
  expect([first?.toString(), second?.toString()]).toEqual(['one', 'other'])
})

test('the end of the stream comes behind the last bytes', async () => {
  const { ours, client } = await pair()
  client.end('bye')
  expect((await readChunk(ours))?.toString()).toBe('bye')
  expect(await readChunk(ours)).toBeNull()
})

test('whoever waits is told the end, and whoever comes behind it too', async () => {
  const { ours, client } = await pair()
  const waiting = readChunk(ours)
  client.end()
  expect(await waiting).toBeNull()
  expect(await readChunk(ours)).toBeNull()
  const other = await pair()
  const broken = readChunk(other.ours)
  other.client.resetAndDestroy()
  expect(await broken).toBeNull()
  expect(await readChunk(other.ours)).toBeNull()
})

test('an end that nobody waited for is told behind what came before it', async () => {
  const { ours, client } = await pair()
  client.end('bye')
  await eventually(() => expect(client.closed || client.writableFinished).toBe(true))
  await eventually(() => expect(ours.readableLength).toBe(3))
  await new Promise(setImmediate)
  expect((await readChunk(ours))?.toString()).toBe('bye')
  expect(await readChunk(ours)).toBeNull()
})

test('a wait ends when the socket is destroyed here', async () => {
  const { ours } = await pair()
  const waiting = readChunk(ours)
  ours.destroy()
  expect(await waiting).toBeNull()
})

test('nothing is lost of what comes while nobody reads, and reading goes on behind it', async () => {
  const { ours, client } = await pair()
  const sent = Buffer.alloc(300_000, 'latchkey')
  client.write(sent)
  await eventually(() => expect(ours.readableLength).toBeGreaterThan(0))
  const chunks: Buffer[] = []
  let bytes = 0
  while (bytes < sent.length) {
    const chunk = await readChunk(ours)
    if (chunk === null) throw new Error('the socket has closed')
    chunks.push(chunk)
    bytes += chunk.length
  }
  expect(Buffer.concat(chunks).equals(sent)).toBe(true)
})

test('the transport on the handle takes such a socket over', async () => {
  const { ours, client } = await pair()
  client.write('login')
  await readChunk(ours)
  const told: string[] = []
  const transport = openHandleTransport(ours, {
    onTransportData: (chunk) => told.push(chunk.toString()),
    onTransportDrain() {},
    onTransportClosed: () => told.push('closed'),
    onTransportFault(error) {
      throw error
    },
  })
  expect(transport).toBeInstanceOf(HandleTransport)
  client.end('query')
  await eventually(() => expect(told).toEqual(['query', 'closed']))
})

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { RawClient } from '../../support/raw-client.ts'
import * as raw from '../../support/raw-messages.ts'
import { describeReply, errorFields, rowsOf, typesOf } from '../../support/raw-replies.ts'
import { bothExtremes, oneByteEach, splitAt, writeSegments } from '../../support/segments.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function serve(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ noDelay: true }, (socket) => {
    closers.push(() => socket.destroy())
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => server.close())
  return (server.address() as AddressInfo).port
}

async function connectTo(
  onSocket: (socket: net.Socket) => void,
  options: Partial<Parameters<typeof RawClient.connect>[0]> = {},
): Promise<RawClient> {
  const client = await RawClient.connect({ port: await serve(onSocket), ...options })
  closers.push(() => client.close())
  return client
}

const conversation = Buffer.concat([
  raw.rowDescription(['a', 'b']),
  raw.dataRow(['1', null]),
  raw.dataRow(['', 'two']),
  raw.commandComplete('SELECT 2'),
  raw.readyForQuery('I'),
])

describe('raw client', () => {
  test.each(bothExtremes)('frames replies that come $name', async ({ segmentation }) => {
    const client = await connectTo((socket) => {
      void writeSegments(socket, conversation, segmentation)
    })
    const messages = await client.untilReady()
    expect(typesOf(messages)).toBe('TDDCZ')
    expect(rowsOf(messages)).toEqual([
      ['1', null],
      ['', 'two'],
    ])
    expect(client.restBytes).toBe(0)
  })

  test('frames replies that are cut at any one place', async () => {
    for (let cut = 1; cut < conversation.length; cut += 1) {
      const client = await connectTo((socket) => {
        void writeSegments(socket, conversation, splitAt(cut))
      })
      expect(typesOf(await client.untilReady())).toBe('TDDCZ')
      client.close()
    }
  })

  test('what it sends one byte at a time arrives whole and in order', async () => {
    const sent = Buffer.concat([raw.parse('s', 'select $1', [25]), raw.sync()])
    const chunks: Buffer[] = []
    const client = await connectTo((socket) => {
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('end', () => socket.end(raw.readyForQuery('I')))
    })
    await client.send(sent, oneByteEach)
    client.halfClose()
    await client.expect('Z')
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
    expect(chunks.length).toBeGreaterThan(sent.length / 2)
  })

  test('an unexpected message fails the wait and the text tells what came', async () => {
    const client = await connectTo((socket) => {
      socket.write(raw.postgresError('ERROR', '42601', 'syntax error'))
    })
    await expect(client.expect('C', 'Z')).rejects.toThrow(
      /wanted messages CZ.*E\(ERROR 42601 syntax error\)/,
    )
  })

  test('a silent server fails the wait when its time is over', async () => {
    const client = await connectTo((socket) => socket.write(raw.noData()), { waitMs: 30 })
    await client.expect('n')
    await expect(client.next()).rejects.toThrow(
      /wanted a message in 30 ms; stream open; received: n/,
    )
  })

  test('a stream that ends fails a wait for messages at once and shows half a message', async () => {
    const client = await connectTo((socket) => socket.end(conversation.subarray(0, 20)))
    await expect(client.untilReady()).rejects.toThrow(/stream fin; received: nothing and 20 bytes/)
    expect(await client.readAll()).toEqual([])
  })

  test('a reset and an end of file are told apart', async () => {
    const ended = await connectTo((socket) => socket.end())
    await ended.readAll()
    expect(ended.end).toBe('fin')
    const reset = await connectTo((socket) => {
      socket.once('data', () => socket.resetAndDestroy())
    })
    await reset.send(raw.sync())
    await reset.readAll()
    expect(reset.end).toBe('reset')
  })

  test('a length that no message has ends the connection and is named', async () => {
    const client = await connectTo((socket) => socket.write(raw.messageHeader('D', 3)))
    const failure = await client.next().then(
      () => null,
      (error: Error) => error,
    )
    expect(String((failure?.cause as Error | undefined)?.message)).toMatch(/has length 3/)
  })

  test('the byte that answers SSLRequest is not framed, and framing goes on behind it', async () => {
    const client = await connectTo((socket) => {
      socket.write(Buffer.concat([Buffer.from('N'), raw.authenticationOk()]))
    })
    await client.send(raw.gssencRequest())
    expect(await client.answerByte()).toBe('N')
    expect(describeReply(await client.next())).toBe('R(0)')
  })

  test('an answer that is no protocol can be read as bytes', async () => {
    const client = await connectTo((socket) => {
      socket.end('HTTP/1.1 204 No Content\r\n\r\n')
    })
    expect((await client.readRest()).toString()).toMatch(/^HTTP\/1\.1 204/)
  })

  test('a paused client leaves the bytes with the sender until it reads again', async () => {
    const payload = Buffer.concat(Array(400).fill(raw.dataRow(['x'.repeat(100_000)])))
    let sender: net.Socket | null = null
    const client = await connectTo((socket) => {
      sender = socket
      socket.once('data', () => socket.write(payload))
    })
    client.pauseReading()
    await client.send(raw.sync())
    let heldBefore = 0
    await eventually(() => {
      const held = sender?.writableLength ?? 0
      const isStuck = held > 0 && held === heldBefore
      heldBefore = held
      return isStuck
    })
    client.resumeReading()
    for (let row = 0; row < 400; row += 1) await client.expect('D')
    expect((sender as net.Socket | null)?.writableLength).toBe(0)
  })

  test('a cancel request goes out on another connection, which the server closes', async () => {
    const requests: Buffer[] = []
    let sockets = 0
    const client = await connectTo((socket) => {
      sockets += 1
      socket.on('data', (bytes) => {
        requests.push(bytes)
        socket.end()
      })
    })
    const secret = Buffer.alloc(32, 7)
    await client.cancel(99, secret)
    expect(sockets).toBe(2)
    expect(Buffer.concat(requests).toString('hex')).toBe(
      `0000002c04d2162e00000063${secret.toString('hex')}`,
    )
  })
})

describe('raw messages', () => {
  // Laid out by hand after the manual's chapter "Message Formats".
  test.each([
    ['query', raw.query('hi'), '51 00000007 686900'],
    ['sync', raw.sync(), '53 00000004'],
    ['parse', raw.parse('s', 'q', [23]), '50 0000000e 7300 7100 0001 00000017'],
    [
      'bind',
      raw.bind({ portal: 'p', statement: 's', values: ['1', null], resultFormats: [1] }),
      '42 00000019 7000 7300 0000 0002 00000001 31 ffffffff 0001 0001',
    ],
    ['describe', raw.describeMessage('portal', 'p'), '44 00000007 50 7000'],
    ['execute', raw.execute('p', 5), '45 0000000a 7000 00000005'],
    [
      'function call',
      raw.functionCall(1, ['x']),
      '46 00000013 00000001 0000 0001 00000001 78 0000',
    ],
    ['startup', raw.startupMessage({ user: 'u' }), '00000010 00030000 7573657200 7500 00'],
    ['ready', raw.readyForQuery('T'), '5a 00000005 54'],
    ['copy in', raw.copyResponse('G', 2), '47 0000000b 00 0002 0000 0000'],
  ])('%s has the layout of the manual', (_name, bytes, hex) => {
    expect(bytes.toString('hex')).toBe(hex.replaceAll(' ', ''))
  })

  test('error fields are read by letter, and none is made up', () => {
    const error = raw.errorResponse({ S: 'ERROR', M: 'no state' })
    expect(errorFields(error.subarray(5))).toEqual({ S: 'ERROR', M: 'no state' })
  })
})

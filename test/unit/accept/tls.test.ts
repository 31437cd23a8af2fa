import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ServerCertificates } from '../../../pooler/accept/server-certificates.ts'
import { type SecuredSocket, secureServerSide } from '../../../pooler/accept/tls.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { selfSigned, type TestCertificate } from '../../support/certificates.ts'
import { eventually } from '../../support/eventually.ts'
import { bothExtremes, cutSegments } from '../../support/segments.ts'

const one = selfSigned(['one.test'])
const two = selfSigned(['two.test'])
const folder = mkdtempSync(join(tmpdir(), 'latchkey-tls-'))
let certificates: ServerCertificates

beforeAll(async () => {
  for (const [name, pair] of Object.entries({ one, two })) {
    writeFileSync(join(folder, `${name}.crt`), pair.cert)
    writeFileSync(join(folder, `${name}.key`), pair.key)
  }
  certificates = await ServerCertificates.load({ certPath: folder, keyPath: folder })
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What became of each accepted socket, in order. */
let outcomes: Promise<SecuredSocket | PoolerError>[] = []
let accepted: Socket[] = []
let clients: Socket[] = []
let server: Server
let requireAlpn = false
/** Runs in the microtask in which the handshake is told. */
let onHandshake = (_result: SecuredSocket): void => {}

beforeEach(async () => {
  outcomes = []
  accepted = []
  clients = []
  requireAlpn = false
  onHandshake = () => {}
  server = createServer((socket) => {
    accepted.push(socket)
    // As a startup reader does: the first chunk is read, the rest is not.
    socket.once('data', (alreadyRead) => {
      const handshake = secureServerSide(socket, { certificates, alreadyRead, requireAlpn })
      handshake.then(onHandshake, () => {})
      outcomes.push(
        handshake.catch((error) => {
          if (error instanceof PoolerError) return error
          throw error
        }),
      )
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
})
afterEach(async () => {
  for (const client of clients) client.destroy()
  await eventually(() => expect(accepted.every((socket) => socket.destroyed)).toBe(true))
  server.close()
})

const derOf = (pair: TestCertificate): Buffer => new X509Certificate(pair.cert).raw

function port(): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function dialTls(options: ConnectionOptions = {}): TLSSocket {
  const client = connectTls({
    port: port(),
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...options,
  })
  client.on('error', () => {})
  clients.push(client)
  return client
}

async function outcome(): Promise<SecuredSocket | PoolerError> {
  await eventually(() => expect(outcomes).toHaveLength(1))
  return outcomes[0] as Promise<SecuredSocket | PoolerError>
}

async function secured(): Promise<SecuredSocket> {
  const result = await outcome()
  if (result instanceof PoolerError) throw result
  return result
}

async function refusal(): Promise<string> {
  const result = await outcome()
  return result instanceof PoolerError ? `${result.code} ${result.message}` : 'secured'
}

describe('a handshake', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('by %s carries bytes both ways', async (version) => {
    const client = dialTls({ minVersion: version, maxVersion: version })
    const { socket } = await secured()
    const heard: string[] = []
    socket.on('data', (chunk) => {
      heard.push(chunk.toString())
      socket.write('pong')
    })
    client.on('data', (chunk) => heard.push(chunk.toString()))
    client.write('ping')
    await eventually(() => expect(heard).toEqual(['ping', 'pong']))
    expect(socket.getProtocol()).toBe(version)
  })

  test.each([
    ['one.test', one],
    ['TWO.test', two],
    ['other.test', one],
    [undefined, one],
  ])('for %s tells the name and the certificate that was shown', async (servername, pair) => {
    const client = dialTls(servername === undefined ? {} : { servername })
    const { serverName, certificate } = await secured()
    expect(serverName).toBe(servername ?? null)
    expect(certificate.equals(derOf(pair))).toBe(true)
    await eventually(() =>
      expect(client.getPeerX509Certificate()?.raw.equals(derOf(pair))).toBe(true),
    )
  })

  test('is full each time: no session is taken up again', async () => {
    const client = dialTls({ maxVersion: 'TLSv1.2' })
    await secured()
    const session = client.getSession()
    outcomes = []
    const again = dialTls({ maxVersion: 'TLSv1.2', ...(session ? { session } : {}) })
    const { socket } = await secured()
    expect([socket.isSessionReused(), again.isSessionReused()]).toEqual([false, false])
  })
})

test('both sockets may be destroyed as soon as the handshake is told, the raw one first', async () => {
  // Where OpenSSL is still on the stack at that moment, the process dies of it.
  onHandshake = ({ socket }) => {
    accepted[0]?.destroy()
    socket.destroy()
  }
  dialTls()
  await secured()
  await eventually(() => expect(accepted[0]?.closed).toBe(true))
})

describe('ALPN', () => {
  test.each([
    [false, undefined, 'secured'],
    [false, ['postgresql'], 'secured'],
    [false, ['h2'], 'ESTARTUPMESSAGE'],
    [true, undefined, 'ESTARTUPMESSAGE'],
    [true, ['h2'], 'ESTARTUPMESSAGE'],
    [true, ['h2', 'postgresql'], 'secured'],
  ])('required %s, offered %j: %s', async (isRequired, offered, expected) => {
    requireAlpn = isRequired
    const client = dialTls(offered === undefined ? {} : { ALPNProtocols: offered })
    expect(await refusal()).toContain(expected)
    if (expected !== 'secured') await eventually(() => expect(client.destroyed).toBe(true))
  })
})

describe('a handshake that fails', () => {
  function dialTcp(bytes: string): Socket {
    const client = connectTcp(port(), '127.0.0.1').on('error', () => {})
    clients.push(client)
    client.resume().write(Buffer.from(bytes, 'hex'))
    return client
  }

  test('for bytes that are no TLS is told and closed', async () => {
    const client = dialTcp('16030100ff01000000000000')
    client.write(Buffer.alloc(300, 0xee))
    expect(await refusal()).toContain('ESTARTUPMESSAGE')
    await eventually(() => expect(client.destroyed).toBe(true))
  })

  test('for a plaintext startup message is told and closed', async () => {
    const client = dialTcp('000000150003000075736572007000000000000000')
    expect(await refusal()).toContain('broken TLS handshake')
    await eventually(() => expect(client.destroyed).toBe(true))
  })

  test('because the client only speaks old versions is told and closed', async () => {
    const client = dialTls({
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    expect(await refusal()).toContain('broken TLS handshake')
    await eventually(() => expect(client.destroyed).toBe(true))
  })

  test('because the client leaves in the middle is told', async () => {
    const client = dialTcp('160301')
    await eventually(() => expect(outcomes).toHaveLength(1))
    client.end()
    expect(await refusal()).toContain('the connection closed in the TLS handshake')
  })

  test('because the client resets in the middle is told', async () => {
    const client = dialTcp('160301')
    await eventually(() => expect(outcomes).toHaveLength(1))
    client.resetAndDestroy()
    expect(await refusal()).toContain('ESTARTUPMESSAGE')
  })

  test('because a deadline destroyed the socket is told', async () => {
    dialTcp('160301')
    await eventually(() => expect(outcomes).toHaveLength(1))
    accepted[0]?.destroy()
    expect(await refusal()).toContain('the connection closed in the TLS handshake')
  })

  test('because the socket was gone before it began is told', async () => {
    dialTcp('160301')
    await eventually(() => expect(outcomes).toHaveLength(1))
    const socket = accepted[0] as Socket
    socket.destroy()
    const alreadyRead = Buffer.alloc(0)
    await expect(
      secureServerSide(socket, { certificates, alreadyRead, requireAlpn: false }),
    ).rejects.toThrow('the connection is closed')
  })
})

describe.each(bothExtremes)('$name', ({ segmentation }) => {
  test('the client’s bytes make the same handshake', async () => {
    // A relay between client and server cuts what the client sends.
    const relay = createServer((near) => {
      const far = connectTcp(port(), '127.0.0.1')
      near.on('error', () => far.destroy()).on('close', () => far.destroy())
      far.on('error', () => near.destroy()).on('close', () => near.destroy())
      far.setNoDelay(true).pipe(near)
      near.on('data', (chunk) => {
        for (const piece of cutSegments(chunk, segmentation)) far.write(piece)
      })
    })
    await new Promise<void>((resolve) => {
      relay.listen(0, '127.0.0.1', resolve)
    })
    const address = relay.address()
    const relayPort = typeof address === 'object' && address !== null ? address.port : 0
    requireAlpn = true
    const client = dialTls({
      port: relayPort,
      servername: 'two.test',
      ALPNProtocols: ['postgresql'],
    })
    const { socket, serverName } = await secured()
    const heard: Buffer[] = []
    socket.on('data', (chunk) => heard.push(chunk))
    client.write('x'.repeat(500))
    await eventually(() => expect(Buffer.concat(heard).length).toBe(500))
    expect(serverName).toBe('two.test')
    client.destroy()
    await eventually(() => expect(socket.destroyed).toBe(true))
    relay.close()
  })
})

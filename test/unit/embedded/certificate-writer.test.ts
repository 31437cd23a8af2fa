import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import { expect, test } from 'vitest'
import { selfSigned, TestAuthority, type TestCertificate } from '../../support/certificates.ts'

/** What a verifying TLS client says about a server with this certificate. */
async function verdict(served: TestCertificate, ca: string, host: string): Promise<string> {
  const server = createServer({ cert: served.cert, key: served.key }, (socket) => socket.end())
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = connect({ port, host: '127.0.0.1', servername: host, ca })
  const result = await new Promise<string>((resolve) => {
    socket.once('secureConnect', () => resolve('trusted'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
  socket.destroy()
  server.close()
  return result
}

test('a self-signed certificate is trusted by who names it, for its names only', async () => {
  const own = selfSigned([
    'localhost',
    'db.abc.example.test',
    '127.0.0.1',
    '::1',
    '2001:db8::5:0:7',
  ])
  expect(await verdict(own, own.cert, 'localhost')).toBe('trusted')
  expect(await verdict(own, own.cert, 'db.abc.example.test')).toBe('trusted')
  expect(await verdict(own, own.cert, 'other.example.test')).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  expect(await verdict(own, selfSigned(['localhost']).cert, 'localhost')).toBe(
    'DEPTH_ZERO_SELF_SIGNED_CERT',
  )
  const read = new X509Certificate(own.cert)
  expect(read.subjectAltName).toBe(
    'DNS:localhost, DNS:db.abc.example.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:5:0:7',
  )
  expect(read.ca).toBe(false)
  expect(read.verify(read.publicKey)).toBe(true)
})

test('what an authority signed is trusted by who names the authority', async () => {
  const authority = new TestAuthority()
  const issued = authority.issue(['localhost'])
  expect(await verdict(issued, authority.cert, 'localhost')).toBe('trusted')
  expect(await verdict(issued, new TestAuthority().cert, 'localhost')).not.toBe('trusted')
  expect(new X509Certificate(authority.cert).ca).toBe(true)
  expect(new X509Certificate(issued.cert).checkIssued(new X509Certificate(authority.cert))).toBe(
    true,
  )
})

test('an ended certificate is not trusted, and ends after 2049 can be written', async () => {
  const nowMs = Date.now()
  const ended = selfSigned(['localhost'], { notAfterMs: nowMs - 60_000 })
  expect(await verdict(ended, ended.cert, 'localhost')).toBe('CERT_HAS_EXPIRED')
  const notAfterMs = Date.UTC(2071, 1, 3, 4, 5, 6)
  const late = selfSigned(['localhost'], { notAfterMs })
  expect(new X509Certificate(late.cert).validToDate.getTime()).toBe(notAfterMs)
  expect(await verdict(late, late.cert, 'localhost')).toBe('trusted')
})

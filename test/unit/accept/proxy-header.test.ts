import { expect, test } from 'vitest'
import { type ProxyHeader, readProxyHeader } from '../../../pooler/accept/proxy-header.ts'
import { proxyHeaderBytesMax } from '../../../pooler/config/limits.ts'
import { binaryHeader, textHeader } from '../../support/proxy-headers.ts'
import { freshSeed, withSeed } from '../../support/seeded-random.ts'

const startup = Buffer.from('0000000804d2162f', 'hex')

/** The same answer for the whole and at the first prefix that has one; `more` for all before it. */
function read(bytes: Buffer): ProxyHeader {
  const whole = readProxyHeader(bytes)
  for (let length = 0; length < bytes.length; length++) {
    const part = readProxyHeader(bytes.subarray(0, length))
    if (part.kind === 'more') continue
    expect(part).toEqual(whole)
  }
  return whole
}

const text = (line: string): ProxyHeader => read(Buffer.from(line, 'latin1'))

test.each([
  ['version 1, IPv4', textHeader('203.0.113.7'), '203.0.113.7'],
  ['version 1, IPv6', textHeader('2001:DB8::0007'), '2001:db8::7'],
  ['version 1, IPv4 in IPv6 clothes', textHeader('::ffff:203.0.113.7'), '203.0.113.7'],
  ['version 2, IPv4', binaryHeader('203.0.113.7'), '203.0.113.7'],
  ['version 2, IPv6', binaryHeader('2001:db8::7'), '2001:db8::7'],
  ['version 2, IPv4 in IPv6 clothes', binaryHeader('::ffff:203.0.113.7'), '203.0.113.7'],
  [
    'version 2 with extensions',
    binaryHeader('10.0.0.1', { extensions: Buffer.alloc(900, 3) }),
    '10.0.0.1',
  ],
])('%s names the client, and ends where it ends', (_name, header, address) => {
  expect(read(header)).toEqual({ kind: 'header', address, bytes: header.length })
  const more = Buffer.concat([header, startup])
  expect(readProxyHeader(more)).toEqual({ kind: 'header', address, bytes: header.length })
})

test.each([
  ['version 1, UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
  ['version 1, UNKNOWN with addresses', textHeader('203.0.113.7', 'UNKNOWN')],
  ['version 2, LOCAL', binaryHeader('203.0.113.7', { versionAndCommand: 0x20 })],
  [
    'version 2, LOCAL of no family',
    binaryHeader('10.0.0.1', { versionAndCommand: 0x20, family: 0 }),
  ],
  ['version 2, unspecified family', binaryHeader('203.0.113.7', { family: 0 })],
  ['version 2, a socket in the file system', binaryHeader('2001:db8::7', { family: 0x31 })],
])('%s names nobody', (_name, header) => {
  expect(read(header)).toEqual({ kind: 'header', address: null, bytes: header.length })
})

test('an HTTP probe and a client without a header are told apart by their first bytes', () => {
  expect(read(Buffer.from('GET / HTTP/1.0\r\n\r\n'))).toEqual({ kind: 'probe' })
  expect(read(startup)).toEqual({ kind: 'malformed', reason: 'it is missing' })
  expect(read(Buffer.from([0x16, 3, 1]))).toEqual({ kind: 'malformed', reason: 'it is missing' })
})

test.each([
  'PROXY TCP4 203.0.113.7 203.0.113.7 1\r\n',
  'PROXY TCP4 203.0.113.7 203.0.113.7 1 2 3\r\n',
  'PROXY TCP4 203.0.113.7 203.0.113.7 1 65536\r\n',
  'PROXY TCP4 203.0.113.7 203.0.113.7 01 2\r\n',
  'PROXY TCP4 203.0.113.7  203.0.113.7 1 2\r\n',
  'PROXY TCP4 2001:db8::7 2001:db8::7 1 2\r\n',
  'PROXY TCP6 203.0.113.7 203.0.113.7 1 2\r\n',
  'PROXY TCP6 fe80::1%eth0 fe80::1 1 \r\n',
  'PROXY UDP4 203.0.113.7 203.0.113.7 1 2\r\n',
  'PROXY TCP4 127.1 127.1 1 2\r\n',
  'PROXY \r\n',
  `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
])('%j is refused', (line) => {
  expect(text(line).kind).toBe('malformed')
})

test.each([
  ['another version', binaryHeader('203.0.113.7', { versionAndCommand: 0x31 })],
  ['another command', binaryHeader('203.0.113.7', { versionAndCommand: 0x22 })],
  ['datagrams', binaryHeader('203.0.113.7', { family: 0x12 })],
  ['too few bytes for its family', binaryHeader('203.0.113.7', { family: 0x21 })],
  [
    'more than is read',
    binaryHeader('10.0.0.1', { extensions: Buffer.alloc(proxyHeaderBytesMax) }),
  ],
])('version 2 with %s is refused', (_name, header) => {
  expect(read(header).kind).toBe('malformed')
})

test('no bytes at all make it throw, or wait for more than a header has', async () => {
  await withSeed(freshSeed(), (random) => {
    for (let round = 0; round < 2000; round++) {
      const header = random.pick([textHeader('10.1.2.3'), binaryHeader('2001:db8::7')])
      const bytes = Buffer.concat([header, Buffer.alloc(proxyHeaderBytesMax)])
      for (let flips = 1 + random.int(4); flips > 0; flips--) {
        bytes.writeUInt8(random.int(256), random.int(header.length))
      }
      expect(readProxyHeader(bytes).kind).not.toBe('more')
    }
  })
})

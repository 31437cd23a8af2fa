import { describe, expect, test } from 'vitest'
import { StartupReader, type StartupStep } from '../../../pooler/startup/startup-reader.ts'
import { bothExtremes, cutSegments } from '../../support/segments.ts'
import { cancel, gssencRequest, packet, pairs, sslRequest, startup } from './packets.ts'

const user = [['user', 'postgres.ref']] as const
const clientHello = Buffer.from('1603010200010001fc0303', 'hex')

/** Feeds until a step comes that is not `more`; what was not fed yet is lost, as after a close. */
function read(chunks: readonly Buffer[], isTls = false): StartupStep {
  const reader = new StartupReader({ isTls })
  for (const chunk of chunks) {
    const step = reader.feed(chunk)
    if (step.kind !== 'more') return step
  }
  return { kind: 'more' }
}

function codeOf(step: StartupStep): string {
  return step.kind === 'refused' ? step.error.code : step.kind
}

describe.each(bothExtremes)('$name', ({ segmentation }) => {
  const split = (bytes: Buffer): Buffer[] => cutSegments(bytes, segmentation)

  test('a startup packet is read with its parameters in the order sent', () => {
    const step = read(split(startup([...user, ['a', '1'], ['a', '']])))
    if (step.kind !== 'startup') throw new Error(codeOf(step))
    expect(step.packet.minor).toBe(0)
    expect(step.packet.negotiate).toBeNull()
    expect(step.packet.parameters.map((one) => [one.name, one.value.toString()])).toEqual([
      ['user', 'postgres.ref'],
      ['a', '1'],
      ['a', ''],
    ])
  })

  test.each([
    [0x30000, 0, null],
    [0x30001, 1, null],
    [0x30002, 2, null],
    [0x30003, 2, { minor: 2, unknownOptions: [] }],
    [0x3270f, 2, { minor: 2, unknownOptions: [] }],
    [0x3ffff, 2, { minor: 2, unknownOptions: [] }],
  ])('version %i is served as 3.%i', (version, minor, negotiate) => {
    const step = read(split(startup(user, version)))
    expect(step).toMatchObject({ kind: 'startup', packet: { minor, negotiate } })
  })

  test('every unknown protocol option is negotiated and none becomes a parameter', () => {
    const bytes = startup([['_pq_.a', 'x'], ...user, ['_pq_.', ''], ['_PQ_.b', 'y']])
    const step = read(split(bytes))
    if (step.kind !== 'startup') throw new Error(codeOf(step))
    expect(step.packet.negotiate).toEqual({ minor: 0, unknownOptions: ['_pq_.a', '_pq_.'] })
    expect(step.packet.parameters.map((one) => one.name)).toEqual(['user', '_PQ_.b'])
  })

  test('a packet of exactly 10,000 bytes is read', () => {
    const spare = 10_000 - startup([...user, ['a', '']]).length
    const bytes = startup([...user, ['a', 'x'.repeat(spare)]])
    expect(bytes.length).toBe(10_000)
    expect(read(split(bytes)).kind).toBe('startup')
  })

  test.each<[string, Buffer, string]>([
    ['10,001 bytes', Buffer.from('0000271100030000', 'hex'), 'ESTARTUPPACKETTOOLARGE'],
    ['16 MB less one', Buffer.from('00ffffff', 'hex'), 'ESTARTUPPACKETTOOLARGE'],
    ['length 2^31', Buffer.from('80000000', 'hex'), 'ESTARTUPMESSAGE'],
    ['length 2^32 - 1', Buffer.from('ffffffff', 'hex'), 'ESTARTUPMESSAGE'],
    ['length 0', Buffer.from('00000000', 'hex'), 'ESTARTUPMESSAGE'],
    ['length 7', Buffer.from('00000007000300', 'hex'), 'ESTARTUPMESSAGE'],
    ['a POST', Buffer.from('POST / HTTP/1.1\r\n'), 'ESTARTUPMESSAGE'],
    ['a GET of another kind', Buffer.from('GETX'), 'ESTARTUPMESSAGE'],
    ['a PROXY header', Buffer.from('PROXY TCP4 1.2.3.4'), 'ESTARTUPMESSAGE'],
    ['a Query message', Buffer.from('5100000008413b00', 'hex'), 'ESTARTUPMESSAGE'],
    ['protocol 2.0', startup(user, 0x20000), 'EUNSUPPORTEDPROTOCOL'],
    ['protocol 4.0', startup(user, 0x40000), 'EUNSUPPORTEDPROTOCOL'],
    ['protocol 0.0', packet(0), 'EUNSUPPORTEDPROTOCOL'],
    ['request code 5681', packet(80877105), 'EUNSUPPORTEDPROTOCOL'],
    ['an SSLRequest of 12 bytes', packet(80877103, Buffer.alloc(4)), 'ESTARTUPMESSAGE'],
    ['a GSSENCRequest of 9 bytes', packet(80877104, Buffer.alloc(1)), 'ESTARTUPMESSAGE'],
    ['nothing behind the version', packet(0x30000), 'ESTARTUPMESSAGE'],
    ['no terminator', packet(0x30000, pairs(user)), 'ESTARTUPMESSAGE'],
    ['two terminators', packet(0x30000, Buffer.from('a\0b\0\0\0')), 'ESTARTUPMESSAGE'],
    ['a tail behind the end', packet(0x30000, Buffer.from('a\0b\0\0c')), 'ESTARTUPMESSAGE'],
    ['a name without value', packet(0x30000, Buffer.from('a\0')), 'ESTARTUPMESSAGE'],
    ['a name without end', packet(0x30000, Buffer.from('a')), 'ESTARTUPMESSAGE'],
    ['a badly encoded name', startup([[Buffer.of(0xe9), 'x']]), 'ESTARTUPMESSAGE'],
    ['a cancel without process id', packet(80877102), 'ESTARTUPMESSAGE'],
    ['a cancel with 3 bytes of secret', cancel(1, Buffer.alloc(3)), 'ESTARTUPMESSAGE'],
    ['a cancel with 257 bytes of secret', cancel(1, Buffer.alloc(257)), 'ESTARTUPMESSAGE'],
  ])('%s is refused', (_what, bytes, code) => {
    expect(codeOf(read(split(bytes)))).toBe(code)
  })

  test.each([4, 32, 256])('a cancel with a secret of %i bytes is read', (secretBytes) => {
    const secret = Buffer.alloc(secretBytes, 7)
    const step = read(split(cancel(-5, secret)))
    expect(step).toEqual({ kind: 'cancel', processId: -5, secret })
  })

  test('a cancel inside TLS is read', () => {
    expect(read(split(cancel(1, Buffer.alloc(4))), true).kind).toBe('cancel')
  })

  test('a plain GET is a probe', () => {
    expect(codeOf(read(split(Buffer.from('GET / HTTP/1.1\r\n\r\n'))))).toBe('http-get')
  })

  test('a TLS ClientHello as first bytes is direct TLS', () => {
    const step = read(split(clientHello))
    if (step.kind !== 'direct-tls') throw new Error(codeOf(step))
    expect(clientHello.subarray(0, step.bytes.length).equals(step.bytes)).toBe(true)
    expect(step.bytes.length).toBeGreaterThan(0)
  })

  test.each([
    ['an SSLRequest', sslRequest],
    ['a GSSENCRequest', gssencRequest],
    ['a ClientHello', clientHello],
    ['a GET', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('%s inside TLS is refused', (_what, bytes) => {
    expect(codeOf(read(split(bytes), true))).toBe('ESTARTUPMESSAGE')
  })

  test('GSSENC, then SSL, then a startup packet is one conversation', () => {
    const reader = new StartupReader({ isTls: false })
    const kinds = [gssencRequest, sslRequest, startup(user)].map((bytes) => {
      const steps = split(bytes).map((chunk) => reader.feed(chunk))
      return steps.at(-1)
    })
    expect(kinds).toMatchObject([
      { kind: 'gssenc-request', hasTrailingBytes: false },
      { kind: 'ssl-request', hasTrailingBytes: false },
      { kind: 'startup' },
    ])
  })

  test.each([
    ['a second SSLRequest', [sslRequest, sslRequest]],
    ['a second GSSENCRequest', [gssencRequest, gssencRequest]],
    ['an SSLRequest, GSSENC and SSLRequest', [sslRequest, gssencRequest, sslRequest]],
    ['a ClientHello behind a refused SSLRequest', [sslRequest, clientHello]],
    ['a GET behind a refused SSLRequest', [sslRequest, Buffer.from('GET ')]],
  ])('%s is refused', (_what, requests) => {
    const reader = new StartupReader({ isTls: false })
    let last: StartupStep = { kind: 'more' }
    for (const chunk of requests.flatMap((bytes) => split(bytes))) {
      last = reader.feed(chunk)
      if (last.kind === 'refused') break
    }
    expect(codeOf(last)).toBe('ESTARTUPMESSAGE')
  })
})

test('what comes with an encryption request is told, and not taken for its answer', () => {
  for (const request of [sslRequest, gssencRequest]) {
    const reader = new StartupReader({ isTls: false })
    const step = reader.feed(Buffer.concat([request, Buffer.of(0)]))
    expect(step).toMatchObject({ hasTrailingBytes: true })
  }
})

test('what comes behind a startup packet is handed on unread', () => {
  const rest = Buffer.from('p\0\0\0\x08abc\0')
  const step = read([Buffer.concat([startup(user), rest])])
  if (step.kind !== 'startup') throw new Error(codeOf(step))
  expect(step.rest.equals(rest)).toBe(true)
})

test('the chunk of a peer is never written to', () => {
  const bytes = startup([...user, ['a', 'x'.repeat(100)]])
  const first = Buffer.from(bytes.subarray(0, 20))
  const reader = new StartupReader({ isTls: false })
  reader.feed(first)
  for (const byte of bytes.subarray(20)) reader.feed(Buffer.of(byte))
  expect(first.equals(bytes.subarray(0, 20))).toBe(true)
})

test('a start that has ended reads no more', () => {
  const reader = new StartupReader({ isTls: false })
  reader.feed(startup(user))
  expect(() => reader.feed(startup(user))).toThrow('a start that has ended')
})

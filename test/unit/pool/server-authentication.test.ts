import { describe, expect, it } from 'vitest'
import { authenticate } from '../../../pooler/pool/server-authentication.ts'
import { brokenProtocol } from '../../../pooler/pool/server-open-error.ts'
import type { UpstreamSocket } from '../../../pooler/pool/upstream-socket.ts'
import type { ScramSecret } from '../../../shared/crypto/scram-client.ts'
import { Secret } from '../../../shared/secret.ts'
import * as raw from '../../support/raw-messages.ts'
import { RawScramServer } from '../../support/raw-scram.ts'

const target = { ref: 'ref', role: 'app' }
const password: ScramSecret = { password: new Secret('geheim') }
const certificateHash = Buffer.alloc(32, 1)
type Line = Pick<UpstreamSocket, 'isTls' | 'isPrivate' | 'certificateHash'>
const open: Line = { isTls: false, isPrivate: false, certificateHash: null }
const tls: Line = { isTls: true, isPrivate: true, certificateHash }

/** A server that answers each message of ours with what the next function makes of it. */
class FakeServer {
  readonly sent: Buffer[] = []
  readonly #answers: ((last: Buffer) => Buffer)[]

  constructor(...answers: (Buffer | ((last: Buffer) => Buffer))[]) {
    this.#answers = answers.map((one) => (Buffer.isBuffer(one) ? () => one : one))
  }

  send(message: Buffer): void {
    this.sent.push(message)
  }

  async next() {
    const answer = this.#answers.shift()?.(this.sent.at(-1) ?? Buffer.alloc(0))
    if (answer === undefined) throw new Error('the server has nothing more to say')
    return { type: answer[0] as number, body: answer.subarray(5) }
  }

  broken(what: string): Error {
    return brokenProtocol(target, what)
  }

  logIn(credentials: ScramSecret | null = password, line: Line = open) {
    const upstream = { ...line, address: '10.0.0.1' } as UpstreamSocket
    return authenticate(this, { target, credentials, upstream })
  }
}

const ok = raw.authenticationOk()
const noLogin = { kind: 'permanent', poolerError: { code: 'EUPSTREAMAUTH' } }
const broken = { kind: 'permanent', message: expect.stringMatching(/broke the Postgres protocol/) }

/** client-first behind mechanism and length. */
const firstOf = (message: Buffer): string =>
  message.toString('latin1').split('\0').at(-1)?.slice(-200) ?? ''

function scramServer(scram: RawScramServer, ...mechanisms: string[]) {
  return [
    raw.authenticationSasl(...mechanisms),
    (last: Buffer) => raw.authenticationSaslContinue(scram.first(firstOf(last))),
    (last: Buffer) => raw.authenticationSaslFinal(scram.final(last.toString('latin1', 5))),
  ]
}

describe('a password in clear', () => {
  const asking = raw.authenticationCleartext()

  it('never leaves over a line that others can read', async () => {
    const server = new FakeServer(asking, ok)
    await expect(server.logIn(password, open)).rejects.toMatchObject(noLogin)
    expect(server.sent).toEqual([])
  })

  it('leaves over TLS and on the machine itself', async () => {
    for (const line of [tls, { ...open, isPrivate: true }]) {
      const server = new FakeServer(asking, ok)
      expect(await server.logIn(password, line)).toBe('cleartext')
      expect(server.sent).toEqual([raw.passwordMessage('geheim')])
    }
  })
})

describe('an md5 request', () => {
  it('is answered with the digest of the manual', async () => {
    const server = new FakeServer(raw.authenticationMd5(Buffer.from('01020304', 'hex')), ok)
    expect(await server.logIn()).toBe('md5')
    expect(server.sent).toEqual([raw.passwordMessage('md542e711ebefa37824dce70bf2382b1320')])
  })

  it('with a salt of another length is refused', async () => {
    const server = new FakeServer(raw.authenticationMd5(Buffer.alloc(5)), ok)
    await expect(server.logIn()).rejects.toMatchObject(broken)
  })
})

describe('a SASL request', () => {
  const both = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']

  it('is answered with what tells the server whether its offer of -PLUS arrived', async () => {
    const cases: [Line, string[], string, string][] = [
      [tls, both, 'SCRAM-SHA-256-PLUS', 'p=tls-server-end-point,,'],
      [tls, ['SCRAM-SHA-256'], 'SCRAM-SHA-256', 'y,,'],
      [{ ...tls, certificateHash: null }, both, 'SCRAM-SHA-256', 'n,,'],
      [open, both, 'SCRAM-SHA-256', 'n,,'],
      [open, ['SCRAM-SHA-1', 'SCRAM-SHA-256'], 'SCRAM-SHA-256', 'n,,'],
    ]
    for (const [line, offered, mechanism, header] of cases) {
      const server = new FakeServer(raw.authenticationSasl(...offered))
      await expect(server.logIn(password, line)).rejects.toThrow(/nothing more to say/)
      expect(server.sent).toHaveLength(1)
      const [name, rest = ''] = (server.sent[0] as Buffer).toString('latin1', 5).split('\0')
      expect(name).toBe(mechanism)
      expect((server.sent[0] as Buffer).toString('latin1')).toContain(`${header}n=,r=`)
      expect(rest).toBe('')
    }
  })

  it('without a mechanism that is known here is refused', async () => {
    for (const offered of [[], ['SCRAM-SHA-1'], ['SCRAM-SHA-256-PLUS'], ['OAUTHBEARER']]) {
      const server = new FakeServer(raw.authenticationSasl(...offered))
      await expect(server.logIn()).rejects.toMatchObject(noLogin)
      expect(server.sent).toEqual([])
    }
  })

  it('that is malformed or endless is refused', async () => {
    const names = Array.from({ length: 33 }, (_, index) => `M${index}`)
    const bodies = [
      Buffer.alloc(0),
      Buffer.from('SCRAM-SHA-256'),
      Buffer.from('SCRAM-SHA-256\0'),
      Buffer.from('SCRAM-SHA-256\0\0\0'),
      Buffer.from(`${names.join('\0')}\0SCRAM-SHA-256\0\0`),
    ]
    for (const body of bodies) {
      const server = new FakeServer(raw.message('R', raw.int32(10), body))
      await expect(server.logIn()).rejects.toMatchObject(broken)
    }
  })

  it('ends in a login only with the signature of who knows the password', async () => {
    const right = () => scramServer(new RawScramServer({ password: 'geheim' }), 'SCRAM-SHA-256')
    expect(await new FakeServer(...right(), ok).logIn()).toBe('scram')
    const [offer, first] = right() as [Buffer, (last: Buffer) => Buffer]
    const endings = [
      ok,
      raw.authenticationSaslFinal(''),
      raw.authenticationSaslFinal('v='),
      raw.authenticationSaslFinal(`v=${Buffer.alloc(32).toString('base64')}`),
      raw.authenticationSaslFinal('e=other-error'),
      raw.authenticationSaslContinue('r=x,s=AAAA,i=1'),
      raw.authenticationCleartext(),
      raw.authenticationMd5(Buffer.alloc(4)),
    ]
    for (const ending of endings) {
      const server = new FakeServer(offer, first, ending, ok)
      await expect(server.logIn(password, tls)).rejects.toMatchObject(noLogin)
      expect(server.sent).toHaveLength(2)
    }
  })

  it('is not left for another method half way, nor followed by one', async () => {
    const [offer, first, final] = scramServer(
      new RawScramServer({ password: 'geheim' }),
      'SCRAM-SHA-256',
    ) as [Buffer, (last: Buffer) => Buffer, (last: Buffer) => Buffer]
    const others = [
      ok,
      raw.authenticationCleartext(),
      raw.authenticationMd5(Buffer.alloc(4)),
      offer,
    ]
    for (const other of others) {
      const halfWay = new FakeServer(offer, other, ok)
      await expect(halfWay.logIn(password, tls)).rejects.toMatchObject(broken)
      expect(halfWay.sent).toHaveLength(1)
    }
    for (const other of others.slice(1)) {
      const after = new FakeServer(offer, first, final, other, ok)
      await expect(after.logIn(password, tls)).rejects.toMatchObject(broken)
    }
  })

  it('is refused when it asks for more work than is reasonable', async () => {
    const scram = new RawScramServer({ password: 'geheim' })
    const bend = (iterations: string) => (last: Buffer) =>
      raw.authenticationSaslContinue(scram.first(firstOf(last)).replace(/i=\d+/, `i=${iterations}`))
    for (const iterations of ['1000001', '2147483648', '99999999999', '0', '-1']) {
      const server = new FakeServer(raw.authenticationSasl('SCRAM-SHA-256'), bend(iterations))
      await expect(server.logIn()).rejects.toMatchObject(noLogin)
    }
  })
})

describe('with nothing but the keys of a login', () => {
  const keys: ScramSecret = {
    clientKey: new Secret(Buffer.alloc(32, 1)),
    serverKey: new Secret(Buffer.alloc(32, 2)),
  }

  it('no clear or md5 password is made up', async () => {
    for (const request of [raw.authenticationCleartext(), raw.authenticationMd5(Buffer.alloc(4))]) {
      const server = new FakeServer(request, ok)
      await expect(server.logIn(keys, tls)).rejects.toMatchObject(noLogin)
      expect(server.sent).toEqual([])
    }
  })
})

describe('what is no authentication request that we know', () => {
  it('is refused and answered with nothing', async () => {
    const unknown = [1, 2, 4, 6, 7, 8, 9, 13, -1].map((code) => raw.message('R', raw.int32(code)))
    for (const request of unknown) {
      const server = new FakeServer(request, ok)
      await expect(server.logIn(password, tls)).rejects.toMatchObject(noLogin)
      expect(server.sent).toEqual([])
    }
    const malformed = [
      raw.message('R'),
      raw.message('R', Buffer.alloc(3)),
      raw.message('R', raw.int32(0), Buffer.alloc(1)),
      raw.message('R', raw.int32(3), Buffer.alloc(1)),
      raw.authenticationSaslContinue('r=x,s=AAAA,i=1'),
      raw.authenticationSaslFinal('v=x'),
      raw.readyForQuery('I'),
      raw.backendKeyData(1, Buffer.alloc(4)),
      raw.negotiateProtocolVersion(0, []),
      raw.query('SELECT 1'),
    ]
    for (const request of malformed) {
      const server = new FakeServer(request, ok)
      await expect(server.logIn(password, tls)).rejects.toMatchObject(broken)
      expect(server.sent).toEqual([])
    }
  })
})

// Real implementations as witnesses, in both directions: what Postgres derives from passwords, and
// whether libpq (inside Postgres, by dblink) and the pg driver log in to us.
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import tls from 'node:tls'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuthDialog } from '../../pooler/auth/auth-dialog.ts'
import { scramAuth } from '../../pooler/auth/scram-auth.ts'
import { SocketReader } from '../../pooler/pool/socket-reader.ts'
import { certificateHash } from '../../shared/crypto/channel-binding.ts'
import {
  formatVerifier,
  makeVerifier,
  parseVerifier,
  type ScramVerifier,
} from '../../shared/crypto/scram-verifier.ts'
import {
  authenticationOk,
  backendKeyData,
  parameterStatus,
  readyForQuery,
} from '../../shared/protocol/backend-messages.ts'
import { MessageReader } from '../../shared/protocol/message-reader.ts'
import { Secret } from '../../shared/secret.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import {
  certificateSignedWith,
  type SignatureKind,
  type SignedCertificate,
} from '../support/signature-kinds.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
  await postgres.query('CREATE EXTENSION dblink')
})
afterAll(() => postgres.stop())

describe('keys from passwords', () => {
  /** What Postgres stores for each password, all in one transaction. */
  async function stored(passwords: readonly string[], iterations: number): Promise<string[]> {
    const client = new Client({ connectionString: postgres.url() })
    await client.connect()
    try {
      await client.query(`BEGIN; CREATE ROLE oracle; SET scram_iterations = ${iterations}`)
      const verifiers: string[] = []
      for (const password of passwords) {
        await client.query(`ALTER ROLE oracle PASSWORD ${client.escapeLiteral(password)}`)
        const { rows } = await client.query<{ rolpassword: string }>(
          "SELECT rolpassword FROM pg_authid WHERE rolname = 'oracle'",
        )
        verifiers.push(rows[0]?.rolpassword as string)
      }
      return verifiers
    } finally {
      await client.end()
    }
  }

  async function expectSame(passwords: readonly string[], iterations = 1): Promise<void> {
    const theirs = await stored(passwords, iterations)
    for (const [index, password] of passwords.entries()) {
      const { salt, iterations: count } = parseVerifier(theirs[index] as string) as ScramVerifier
      expect(count).toBe(iterations)
      const ours = await makeVerifier(new Secret(password), { salt, iterations })
      const points = [...password].map((one) => one.codePointAt(0)?.toString(16)).join(' ')
      expect(formatVerifier(ours).reveal(), points).toBe(theirs[index])
    }
  }

  it('are those of Postgres, for ASCII and whatever SASLprep changes, keeps or gives up on', async () => {
    await expectSame([
      'plain',
      ' spaces and \t control \x01\x7f',
      'I\u00adX',
      '\u00aa\u2168',
      'a\u0308',
      '\u00e4',
      'a\u00a0b\u3000c\u200bd',
      '\u2126 \u212b \ufb01 \u{1d400}',
      '\u0627\u0628',
      '\u06271\u0628',
      '\u0627a\u0308',
      '\u06271',
      '1\u0627a\u0308',
      '\u0221a\u0308',
      'a\u0308\x07',
      '\u{1f511}a\u0308',
      '\ue000a\u0308',
      '\u00ad\ufe00',
      '\uffffa\u0308',
      '\u1100\u1161\u11a8',
      'q\u0323\u0307',
      'x'.repeat(1000),
    ])
  })

  it('are those of Postgres with other iteration counts', async () => {
    for (const iterations of [2, 4096, 100_000]) await expectSame(['tr\u00e8s secret'], iterations)
  })

  it('are those of Postgres for texts by chance from the whole of Unicode', async () => {
    const random = new SeededRandom(20_260_101)
    // Blocks where the tables of SASLprep have most of their borders, then everything.
    const blocks = [0x80, 0x300, 0x700, 0xb00, 0x1100, 0x1800, 0x2000, 0x3000, 0xfb00, 0x1d100]
    const point = (): number => {
      for (;;) {
        const one = random.chance(0.7)
          ? random.pick(blocks) + random.int(0x400)
          : random.int(0x110000)
        if (one > 0 && (one < 0xd800 || one > 0xdfff)) return one
      }
    }
    const text = (): string => {
      const points = Array.from({ length: 1 + random.int(3) }, point)
      return `${random.chance(0.5) ? 'a\u0308' : ''}${String.fromCodePoint(...points)}`
    }
    await expectSame(Array.from({ length: 1000 }, text))
  })

  it('let in at Postgres whoever has the password of a verifier that we made', async () => {
    const verifier = await makeVerifier(new Secret('g\u00fcltig'), { iterations: 333 })
    await postgres.createRole('ours', formatVerifier(verifier).reveal())
    const login = (password: string) =>
      new Client({ connectionString: postgres.url('postgres', 'ours', password) })
    const client = login('gu\u0308ltig')
    await client.connect()
    await client.end()
    await expect(login('gultig').connect()).rejects.toMatchObject({ code: '28P01' })
  })
})

describe('logins to us', () => {
  const password = 'pa\u00dfwort'
  const kinds: SignatureKind[] = ['rsa-sha256', 'rsa-pss-sha384', 'ecdsa-sha384']

  it('by libpq work with the right password only', async () => {
    await withServer(null, async (server) => {
      await dblink(server, password, 'sslmode=disable')
      await dblink(server, password, 'sslmode=prefer')
      await expect(dblink(server, 'passwort', 'sslmode=disable')).rejects.toThrow(/connection/)
      expect(server.verdicts).toEqual(['right', 'right', 'wrong'])
    })
  })

  for (const kind of kinds) {
    it(`by libpq are bound to a certificate signed with ${kind}`, async () => {
      await withServer(certificateSignedWith(kind), async (server) => {
        await dblink(server, password, 'sslmode=require channel_binding=require')
        await dblink(server, password, 'sslmode=require channel_binding=disable')
        await dblink(server, password, 'sslmode=disable')
        expect(server.verdicts).toEqual(['right', 'right', 'right'])
      })
    })
  }

  it('by libpq without binding work where the certificate has no hash to bind to', async () => {
    await withServer(certificateSignedWith('ed25519'), async (server) => {
      await dblink(server, password, 'sslmode=require')
      const bound = dblink(server, password, 'sslmode=require channel_binding=require')
      await expect(bound).rejects.toMatchObject({
        detail: expect.stringMatching(/channel binding/),
      })
      expect(server.verdicts).toEqual(['right', 'the server closed the connection'])
    })
  })

  it('by libpq fail where somebody in between shows another certificate', async () => {
    const shown = certificateSignedWith('ecdsa-sha256')
    const hash = certificateHash(certificateSignedWith('ecdsa-sha256').der)
    await withServer(
      shown,
      async (server) => {
        const login = dblink(server, password, 'sslmode=require channel_binding=prefer')
        await expect(login).rejects.toThrow(/connection/)
        expect(server.verdicts).toEqual(['SCRAM channel binding check failed'])
      },
      hash,
    )
  })

  it('by the pg driver work with and without TLS and binding', async () => {
    await withServer(certificateSignedWith('rsa-sha256'), async (server) => {
      const options = { host: '127.0.0.1', port: server.port, user: 'app', database: 'app' }
      const ssl = { rejectUnauthorized: false }
      for (const more of [{}, { ssl }, { ssl, enableChannelBinding: true }]) {
        const client = new Client({ ...options, ...more, password })
        await client.connect()
        await client.end()
      }
      expect(server.verdicts).toEqual(['right', 'right', 'right'])
    })
  })

  async function dblink(server: OurServer, secret: string, more: string): Promise<void> {
    const target = `host=127.0.0.1 port=${server.port} user=app dbname=app gssencmode=disable`
    await postgres.query('SELECT dblink_connect($1)', [`${target} password='${secret}' ${more}`])
  }

  interface OurServer {
    readonly port: number
    /** 'right', 'wrong', or the protocol error of each login, in order. */
    readonly verdicts: string[]
  }

  /** Just enough of a server around `scramAuth` for a driver to believe in it. */
  async function withServer(
    certificate: SignedCertificate | null,
    use: (server: OurServer) => Promise<void>,
    hash = certificate && certificateHash(certificate.der),
  ): Promise<void> {
    const verifier = await makeVerifier(new Secret(password), { iterations: 50 })
    const verdicts: string[] = []
    const stop = new AbortController()
    const server = net.createServer((socket) => {
      serve(socket, certificate, verifier, hash, verdicts, stop.signal).catch(() => {})
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      await use({ port: (server.address() as AddressInfo).port, verdicts })
    } finally {
      stop.abort()
      server.close()
      await once(server, 'close')
    }
  }
})

async function serve(
  plain: Socket,
  certificate: SignedCertificate | null,
  verifier: ScramVerifier,
  hash: Buffer | null,
  verdicts: string[],
  signal: AbortSignal,
): Promise<void> {
  let socket = plain
  plain.on('error', () => {})
  let reader = new SocketReader(socket, signal)
  let packet = await reader.chunk()
  while (packet.readInt32BE(4) === 80877103) {
    reader.release()
    plain.write(certificate === null ? 'N' : 'S')
    if (certificate !== null) {
      const { cert, key } = certificate
      socket = new tls.TLSSocket(plain, { isServer: true, cert, key })
      socket.on('error', () => {})
    }
    reader = new SocketReader(socket, signal)
    packet = await reader.chunk()
  }
  const isTls = socket !== plain
  try {
    const channelBinding = isTls ? hash : null
    const dialog = new SocketDialog(socket, reader)
    const verdict = await scramAuth(dialog, { verifier, isRealRole: true, channelBinding })
    verdicts.push(verdict === 'wrong' ? 'wrong' : 'right')
    if (verdict === 'wrong') return
    const greeting = [
      authenticationOk(),
      parameterStatus('client_encoding', 'UTF8'),
      parameterStatus('server_version', '18.0'),
      backendKeyData(1, Buffer.alloc(4)),
      readyForQuery(0x49),
    ]
    socket.write(Buffer.concat(greeting))
    await reader.chunk().catch(() => {})
  } catch (error) {
    verdicts.push((error as Error).message.replace('protocol violation: ', ''))
  } finally {
    socket.destroy()
  }
}

class SocketDialog implements AuthDialog {
  readonly #socket: Socket
  readonly #reader: SocketReader
  readonly #messages = new MessageReader({ bodyBytesMax: 2000 })

  constructor(socket: Socket, reader: SocketReader) {
    this.#socket = socket
    this.#reader = reader
  }

  send(message: Buffer): void {
    this.#socket.write(message)
  }

  async receive(): Promise<Buffer> {
    for (;;) {
      const message = this.#messages.next()
      if (message !== null) return message.body
      this.#messages.push(await this.#reader.chunk())
    }
  }
}

import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type OpenedServer,
  type OpenServerOptions,
  openServer,
} from '../../pooler/pool/server-login.ts'
import { ServerOpenError } from '../../pooler/pool/server-open-error.ts'
import { UpstreamAddresses } from '../../pooler/pool/upstream-address.ts'
import type { Tenant } from '../../pooler/tenant/tenant.ts'
import { deriveScramKeys } from '../../shared/crypto/scram-keys.ts'
import { parseVerifier } from '../../shared/crypto/scram-verifier.ts'
import { query, terminate } from '../../shared/protocol/frontend-messages.ts'
import { MessageReader } from '../../shared/protocol/message-reader.ts'
import { Secret } from '../../shared/secret.ts'
import { TestAuthority } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { certificateSignedWith, type SignatureKind } from '../support/signature-kinds.ts'
import { makeTenant } from '../support/tenants.ts'

const password = new Secret('tr\u00e8s secret')
const hba = [
  'host all trusted all trust',
  'host all plain all password',
  'host all hashed all md5',
  'hostssl all tls_only all scram-sha-256',
  'host all rejected all reject',
  'host all all all scram-sha-256',
]
const authority = new TestAuthority()

let postgres: TestPostgres
let tenant: Tenant
beforeAll(async () => {
  const settings = { max_connections: '10', max_wal_senders: '0' }
  postgres = await startPostgres({ hba, settings, tls: authority.issue(['db.test', '127.0.0.1']) })
  for (const role of ['trusted', 'plain', 'scram', 'tls_only', 'rejected']) {
    await postgres.createRole(role, password.reveal())
  }
  await postgres.query(
    "SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD 'tr\u00e8s secret'",
  )
  await postgres.createRole('expired', password.reveal(), "VALID UNTIL '2020-01-01'")
  tenant = makeTenant({ dbHost: '127.0.0.1', dbPort: postgres.port, upstreamTls: 'disable' })
})
afterAll(() => postgres.stop())

function options(role: string, changes: Partial<OpenServerOptions> = {}): OpenServerOptions {
  return {
    tenant,
    role,
    database: 'postgres',
    credentials: { password },
    connectTimeoutMs: 5000,
    loginTimeoutMs: 5000,
    globalCa: null,
    ...changes,
  }
}

/** Opens, checks that queries are answered as the role, and closes. */
async function use(opening: OpenServerOptions): Promise<OpenedServer> {
  const opened = await openServer(opening)
  const reader = new MessageReader({ bodyBytesMax: 10_000 })
  reader.push(opened.rest)
  opened.socket.write(query('SELECT current_user'))
  const types: number[] = []
  let text = ''
  while (types.at(-1) !== 0x5a) {
    const message = reader.next()
    if (message === null) {
      const [chunk] = (await once(opened.socket, 'data')) as [Buffer]
      reader.push(chunk)
      continue
    }
    types.push(message.type)
    text += message.body.toString('latin1')
  }
  expect(text).toContain(opening.role)
  const closed = once(opened.socket, 'close')
  opened.socket.end(terminate())
  opened.socket.resume()
  await closed
  return opened
}

async function failure(opening: OpenServerOptions): Promise<ServerOpenError> {
  const error = await openServer(opening).then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ServerOpenError)) throw new Error('no ServerOpenError', { cause: error })
  return error
}

describe('a server is opened without TLS', () => {
  it('by trust, and nothing of the credentials is used', async () => {
    const opened = await use(options('trusted'))
    const place = { address: '127.0.0.1' }
    expect(opened).toMatchObject({ method: 'trust', credentialsUsed: null, place })
    expect((await use(options('trusted', { credentials: null }))).method).toBe('trust')
  })

  it('by SCRAM with the password, whatever scram_iterations was', async () => {
    const opened = await use(options('scram'))
    expect(opened).toMatchObject({ method: 'scram', credentialsUsed: { password } })
    await postgres.query(
      "SET scram_iterations = 1; CREATE ROLE scram_one LOGIN PASSWORD 'tr\u00e8s secret';" +
        "SET scram_iterations = 100000; CREATE ROLE scram_many LOGIN PASSWORD 'tr\u00e8s secret'",
    )
    await use(options('scram_one'))
    await use(options('scram_many'))
  })

  it('by SCRAM with nothing but the keys that a client login leaves', async () => {
    const rows = await postgres.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram'")
    const verifier = parseVerifier(rows[0]?.rolpassword as string)
    if (verifier === null) throw new Error('Postgres has no verifier')
    const credentials = await deriveScramKeys(password, verifier.salt, verifier.iterations)
    expect((await use(options('scram', { credentials }))).method).toBe('scram')
  })

  it('by md5', async () => {
    expect((await use(options('hashed'))).method).toBe('md5')
  })

  it('by a clear password over loopback', async () => {
    expect((await use(options('plain'))).method).toBe('cleartext')
  })

  it('with what it reported and the key to cancel it', async () => {
    const opened = await use(options('scram'))
    expect(opened.parameters.get('server_version')).toMatch(/^\d+/)
    expect(opened.parameters.get('is_superuser')).toBe('off')
    expect(opened.parameters.get('application_name')).toBe('')
    expect(opened.processId).toBeGreaterThan(0)
    expect(opened.cancelSecret).toHaveLength(4)
  })

  it('with extra startup parameters for auxiliary connections', async () => {
    const parameters = { application_name: 'aux', TimeZone: 'UTC', user: 'ignored' }
    const opened = await use(options('scram', { parameters }))
    expect(opened.parameters.get('application_name')).toBe('aux')
  })
})

describe('a server is opened over TLS', () => {
  const secure = (changes: Partial<Tenant>, more: Partial<OpenServerOptions> = {}) =>
    options('tls_only', { tenant: { ...tenant, ...changes }, ...more })
  const ca = authority.cert
  const named = {
    addresses: new UpstreamAddresses({
      names: {
        resolve4: async () => [{ address: '127.0.0.1', ttl: 60 }],
        resolve6: async () => [],
        lookup: async () => [],
      },
    }),
  }

  it('with channel binding wherever the certificate allows it', async () => {
    expect((await use(secure({ upstreamTls: 'require' }))).method).toBe('scram-plus')
  })

  it('without verification in mode require, also where an authority is given', async () => {
    const upstreamCa = new TestAuthority().cert
    await use(secure({ upstreamTls: 'require', upstreamCa, dbHost: 'other.test' }, named))
  })

  it('in mode verify-ca under any name, with the authority of the project or the common one', async () => {
    const upstreamTls = 'verify-ca'
    await use(secure({ upstreamTls, upstreamCa: ca, dbHost: 'other.test' }, named))
    await use(secure({ upstreamTls, dbHost: 'other.test' }, { ...named, globalCa: ca }))
  })

  it('in mode verify-full under the name or the address in the certificate', async () => {
    const upstreamTls = 'verify-full'
    await use(secure({ upstreamTls, upstreamCa: ca, dbHost: 'db.test' }, named))
    await use(secure({ upstreamTls, upstreamCa: ca }))
  })

  it('never where verification fails, which is permanent', async () => {
    const foreign = new TestAuthority().cert
    const cases: [Partial<Tenant>, string | null][] = [
      [{ upstreamTls: 'verify-ca', upstreamCa: foreign }, null],
      [{ upstreamTls: 'verify-ca', upstreamCa: foreign }, ca],
      [{ upstreamTls: 'verify-full', upstreamCa: foreign, dbHost: 'db.test' }, null],
      [{ upstreamTls: 'verify-full', upstreamCa: ca, dbHost: 'other.test' }, null],
      [{ upstreamTls: 'verify-full', upstreamCa: ca, dbHost: 'sub.db.test' }, null],
      [{ upstreamTls: 'verify-full' }, null],
      [{ upstreamTls: 'verify-ca', upstreamCa: 'no certificate' }, null],
    ]
    for (const [changes, globalCa] of cases) {
      const error = await failure(secure(changes, { ...named, globalCa }))
      expect(error).toMatchObject({ kind: 'permanent', poolerError: { code: 'EUPSTREAM' } })
    }
  })

  it('never with a certificate that has expired, but in mode require', async () => {
    const hourMs = 3_600_000
    const times = { notBeforeMs: Date.now() - 2 * hourMs, notAfterMs: Date.now() - hourMs }
    const expired = await startPostgres({ hba, tls: authority.issue(['127.0.0.1'], times) })
    try {
      await expired.createRole('tls_only', password.reveal())
      const dbPort = expired.port
      for (const upstreamTls of ['verify-ca', 'verify-full'] as const) {
        const error = await failure(secure({ upstreamTls, upstreamCa: ca, dbPort }))
        expect(error).toMatchObject({
          kind: 'permanent',
          message: expect.stringMatching(/CERT_HAS_EXPIRED/),
        })
      }
      await use(secure({ upstreamTls: 'require', dbPort }))
    } finally {
      await expired.stop()
    }
  })

  it('never where the server has none, in each mode but disable', async () => {
    const bare = await startPostgres()
    try {
      for (const upstreamTls of ['require', 'verify-ca', 'verify-full'] as const) {
        const error = await failure(secure({ upstreamTls, dbPort: bare.port }))
        expect(error).toMatchObject({ kind: 'permanent', message: expect.stringMatching(/no TLS/) })
      }
    } finally {
      await bare.stop()
    }
  })
})

describe('channel binding', () => {
  const kinds: [SignatureKind, OpenedServer['method']][] = [
    ['rsa-sha256', 'scram-plus'],
    ['rsa-sha512', 'scram-plus'],
    ['ecdsa-sha384', 'scram-plus'],
    ['ed25519', 'scram'],
  ]
  for (const [kind, method] of kinds) {
    it(`with a certificate signed with ${kind} leads to ${method}`, async () => {
      const server = await startPostgres({ tls: certificateSignedWith(kind) })
      try {
        await server.createRole('scram', password.reveal())
        const changes = { dbPort: server.port, upstreamTls: 'require' as const }
        const opened = await use(options('scram', { tenant: { ...tenant, ...changes } }))
        expect(opened.method).toBe(method)
      } finally {
        await server.stop()
      }
    })
  }
})

describe('what Postgres refuses', () => {
  it('is passed on in its own bytes, sorted into passing and lasting', async () => {
    const wrong = { credentials: { password: new Secret('wrong') } }
    const cases: [OpenServerOptions, string, string, string][] = [
      [options('scram', wrong), '28P01', 'permanent', 'EUPSTREAMAUTH'],
      [options('plain', wrong), '28P01', 'permanent', 'EUPSTREAMAUTH'],
      [options('hashed', wrong), '28P01', 'permanent', 'EUPSTREAMAUTH'],
      [options('no_such_role'), '28P01', 'permanent', 'EUPSTREAMAUTH'],
      [options('rejected'), '28000', 'permanent', 'EUPSTREAMAUTH'],
      [options('expired'), '28P01', 'permanent', 'EUPSTREAMAUTH'],
      [options('scram', { database: 'no_such_database' }), '3D000', 'permanent', 'EUPSTREAM'],
    ]
    for (const [opening, sqlState, kind, code] of cases) {
      const error = await failure(opening)
      expect(error).toMatchObject({ kind, poolerError: { code } })
      expect(error.postgres?.fields).toMatchObject({ severity: 'FATAL', sqlState })
      expect(error.postgres?.raw.toString()).toContain(error.postgres?.fields.message)
    }
  })

  const full = { kind: 'transient', postgres: { fields: { sqlState: '53300' } } }

  it('for want of connections of a role, a database or for streams is waited out by them alone', async () => {
    await postgres.createRole('limited', password.reveal(), 'CONNECTION LIMIT 0')
    await postgres.createRole('streaming', password.reveal(), 'REPLICATION')
    await postgres.query('CREATE DATABASE small CONNECTION LIMIT 0')
    const refused = [
      options('limited'),
      options('scram', { database: 'small' }),
      options('streaming', { parameters: { replication: 'database' } }),
    ]
    for (const opening of refused) {
      expect(await failure(opening)).toMatchObject({ ...full, concernsAll: false })
    }
  })

  it('for want of connections of the server is waited out by all', async () => {
    const opened: OpenedServer[] = []
    const openMore = async (role: string): Promise<unknown> => {
      for (;;) opened.push(await openServer(options(role)))
    }
    try {
      const reserved = await openMore('trusted').catch((error: unknown) => error)
      expect(reserved).toMatchObject({ ...full, concernsAll: true })
      await postgres.query('ALTER ROLE trusted SUPERUSER')
      const none = await openMore('trusted').catch((error: unknown) => error)
      expect(none).toMatchObject({ ...full, concernsAll: true })
    } finally {
      for (const { socket } of opened) socket.destroy()
      await eventually(() => postgres.query('ALTER ROLE trusted NOSUPERUSER'))
    }
  })

  it('is not tried with keys where only a password would do', async () => {
    const credentials = await deriveScramKeys(password, Buffer.alloc(16), 1)
    for (const role of ['plain', 'hashed']) {
      const error = await failure(options(role, { credentials }))
      expect(error).toMatchObject({ kind: 'permanent', poolerError: { code: 'EUPSTREAMAUTH' } })
      expect(error.postgres).toBeNull()
    }
    for (const role of ['plain', 'hashed', 'scram']) {
      const error = await failure(options(role, { credentials: null }))
      expect(error.poolerError.detail).toMatch(/no password is stored/)
    }
  })
})

describe('a server that is not there', () => {
  it('is looked for at each address of its name', async () => {
    const namesOf = (...list: string[]) => ({
      resolve4: async () => list.map((address) => ({ address, ttl: 60 })),
      resolve6: async () => [],
      lookup: async () => [],
    })
    const dbHost = { ...tenant, dbHost: 'db.test' }
    const both = new UpstreamAddresses({ names: namesOf('127.0.0.2', '127.0.0.1') })
    const opened = await use(options('scram', { tenant: dbHost, addresses: both }))
    expect(opened.place.address).toBe('127.0.0.1')
    const none = new UpstreamAddresses({ names: namesOf('127.0.0.2', '127.0.0.3') })
    const error = await failure(options('scram', { tenant: dbHost, addresses: none }))
    expect(error).toMatchObject({ kind: 'transient', message: 'connection refused' })
  })

  it('is waited out when it refuses connections', async () => {
    const stopped = await startPostgres()
    await stopped.stop()
    const error = await failure(options('scram', { tenant: { ...tenant, dbPort: stopped.port } }))
    expect(error).toMatchObject({ kind: 'transient', message: 'connection refused' })
    expect(error.poolerError.detail).not.toContain('127.0.0.1')
  })
})

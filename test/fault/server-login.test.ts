// Servers that break off, lie or never stop talking while we log in to them.
import { afterEach, describe, expect, it } from 'vitest'
import { type OpenServerOptions, openServer } from '../../pooler/pool/server-login.ts'
import { ServerOpenError } from '../../pooler/pool/server-open-error.ts'
import type { Tenant } from '../../pooler/tenant/tenant.ts'
import { Secret } from '../../shared/secret.ts'
import { selfSigned } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { ManualClock } from '../support/manual-clock.ts'
import * as raw from '../support/raw-messages.ts'
import { reset, ScriptedServer, type Step } from '../support/scripted-server.ts'
import {
  expectRequest,
  expectStartup,
  expectTypes,
  finish,
  ignoreAll,
  scramExchange,
  send,
  silence,
  trustLogin,
  upgradeToTls,
  welcome,
} from '../support/scripted-steps.ts'
import { bothExtremes } from '../support/segments.ts'
import { makeTenant } from '../support/tenants.ts'

let server: ScriptedServer | null = null
afterEach(async () => {
  await server?.stop()
  server = null
})

async function start(...script: Step[]): Promise<void> {
  server = await ScriptedServer.start([script])
}

function options(changes: Partial<OpenServerOptions> = {}, tenant: Partial<Tenant> = {}) {
  return {
    tenant: makeTenant({ dbPort: server?.port ?? 0, ...tenant }),
    role: 'app',
    database: 'shop',
    credentials: { password: new Secret('geheim') },
    connectTimeoutMs: 5000,
    loginTimeoutMs: 5000,
    globalCa: null,
    ...changes,
  }
}

async function failure(opening = options()): Promise<ServerOpenError> {
  const error = await openServer(opening).then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ServerOpenError)) throw new Error('no ServerOpenError', { cause: error })
  return error
}

/** Waits until something has come, and leaves it where it is. */
const firstBytes: Step = ({ stream }) => stream.until('bytes', () => stream.restBytes > 0)

/** When the script is over the server says nothing more, and the login ends at its limit. */
async function expectTimeLimit(script: Step[], tenant: Partial<Tenant>): Promise<void> {
  let isOver = false
  await start(
    ...script,
    () => {
      isOver = true
    },
    ignoreAll(),
  )
  const clock = new ManualClock()
  const failing = failure(options({ clock }, tenant))
  await eventually(() => isOver)
  clock.advance(5000)
  const message = 'login took longer than 5000 ms'
  expect(await failing).toMatchObject({ kind: 'transient', message })
  expect(clock.timerCount).toBe(0)
  await server?.stop()
}

const tls = { upstreamTls: 'require' } as const
const broken = { kind: 'permanent', message: expect.stringMatching(/broke the Postgres protocol/) }
const closed = { kind: 'transient', poolerError: { code: 'EUPSTREAM' } }

describe('a login', () => {
  for (const { name, segmentation } of bothExtremes) {
    it(`works with the server's bytes ${name}, and keeps what came behind it`, async () => {
      const behind = raw.parameterStatus('application_name', 'late')
      await start(
        expectStartup((pairs) => {
          expect([...pairs]).toEqual([
            ['user', 'app'],
            ['database', 'shop'],
          ])
        }),
        scramExchange({ password: 'geheim' }),
        send([raw.noticeResponse({ S: 'NOTICE', M: 'hello' }), welcome(), behind], segmentation),
        ignoreAll(),
      )
      const opened = await openServer(options())
      const rest = [opened.rest]
      opened.socket.on('data', (chunk) => rest.push(chunk))
      await eventually(() => Buffer.concat(rest).equals(behind))
      expect(opened).toMatchObject({ method: 'scram', processId: 4711 })
      expect(opened.cancelSecret.toString('hex')).toBe('0badcafe')
      expect(opened.parameters.get('server_version')).toBe('18.4')
      opened.socket.destroy()
      await server?.finished(1)
    })
  }

  it('works without a cancel key, with a late notice and with a long key', async () => {
    await start(
      expectStartup(),
      send([raw.authenticationOk(), raw.noticeResponse({ M: 'hi' }), raw.readyForQuery('I')]),
      ignoreAll(),
    )
    const opened = await openServer(options())
    expect(opened).toMatchObject({ method: 'trust', processId: 0, credentialsUsed: null })
    expect(opened.cancelSecret).toHaveLength(0)
    opened.socket.destroy()
    await server?.stop()
    await start(...trustLogin({ secret: Buffer.alloc(256, 1) }), ignoreAll())
    const other = await openServer(options())
    expect(other.cancelSecret).toHaveLength(256)
    other.socket.destroy()
  })

  it('that breaks off is waited out', async () => {
    const endings: Step[][] = [
      [reset()],
      [finish()],
      [expectStartup(), reset()],
      [expectStartup(), finish()],
      [expectStartup(), send(raw.authenticationOk()), finish()],
      [expectStartup(), send(Buffer.from('R\0\0')), finish()],
      [expectStartup(), send(raw.postgresError('FATAL', '57P03', 'starting up')), finish()],
      [expectStartup(), send(raw.postgresError('FATAL', '57P01', 'shutting down')), finish()],
      [expectStartup(), send(raw.postgresError('FATAL', '53300', 'too many clients')), finish()],
    ]
    for (const script of endings) {
      await start(...script)
      expect(await failure()).toMatchObject(closed)
      await server?.stop()
    }
  })

  it('of a server that cannot fork is waited out', async () => {
    const said = 'Ecould not fork new process for connection: Cannot allocate memory\n\0'
    for (const { segmentation } of bothExtremes) {
      await start(expectStartup(), send(Buffer.from(said), segmentation), finish())
      const message = 'the server could not start a session'
      expect(await failure()).toMatchObject({ ...closed, message })
      await server?.stop()
    }
  })

  it('with an error that lacks fields, or their end, is an error all the same', async () => {
    for (const body of ['', 'S', 'SFATAL\0\0', 'C28P01\0', 'Mgone', '\0\0\0\0']) {
      await start(expectStartup(), send(raw.message('E', Buffer.from(body))), ignoreAll())
      const error = await failure()
      expect(error.kind).toBe('permanent')
      expect(error.postgres?.raw).toEqual(raw.message('E', Buffer.from(body)))
      await server?.stop()
    }
  })

  it('with messages that have no place in it is given up', async () => {
    const started = [raw.authenticationOk()]
    const cases: Buffer[][] = [
      [raw.readyForQuery('I')],
      [raw.backendKeyData(1, Buffer.alloc(4))],
      [raw.negotiateProtocolVersion(2, [])],
      [raw.messageHeader('R', 3)],
      [raw.messageHeader('R', -1)],
      [raw.messageHeader('N', 0x7fffffff)],
      [raw.message('S', Buffer.from('no terminator'))],
      [raw.message('S', Buffer.from('name\0value\0more\0'))],
      [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
      [...started, raw.authenticationOk()],
      [...started, raw.authenticationCleartext()],
      [...started, raw.readyForQuery('T')],
      [...started, raw.message('Z')],
      [...started, raw.message('K', Buffer.alloc(7))],
      [...started, raw.message('K', Buffer.alloc(261))],
      [...started, raw.commandComplete('SELECT 1')],
    ]
    for (const messages of cases) {
      await start(expectStartup(), send(messages), ignoreAll())
      expect(await failure()).toMatchObject(broken)
      await server?.stop()
    }
  })

  it('of endless notices or reports is given up', async () => {
    const floods = [
      Array.from({ length: 501 }, () => raw.noticeResponse({ M: 'x' })),
      Array.from({ length: 10 }, (_, at) => raw.parameterStatus(`p${at}`, 'x'.repeat(60_000))),
    ]
    for (const flood of floods) {
      await start(expectStartup(), send(flood), ignoreAll())
      expect(await failure()).toMatchObject(broken)
      await server?.stop()
    }
  })

  it('that takes too long is ended at its time limit, whatever the server waits with', async () => {
    const stages: Step[][] = [
      [firstBytes],
      [expectStartup()],
      [expectStartup(), send(raw.authenticationOk())],
      [expectStartup(), send(raw.authenticationSasl('SCRAM-SHA-256')), expectTypes('p')],
    ]
    for (const script of stages) await expectTimeLimit(script, {})
  })

  it('is given up when its caller gives it up', async () => {
    let isReached = false
    await start(
      firstBytes,
      () => {
        isReached = true
      },
      ignoreAll(),
    )
    const stop = new AbortController()
    const failing = failure(options({ signal: stop.signal }))
    await eventually(() => isReached)
    stop.abort()
    const givenUp = { kind: 'transient', message: 'the attempt was given up' }
    expect(await failing).toMatchObject(givenUp)
    await server?.finished(1)
    expect(await failure(options({ signal: stop.signal }))).toMatchObject(givenUp)
    expect(server?.connections).toHaveLength(1)
  })
})

describe('a server that should speak TLS', () => {
  it('and does not is never spoken to without', async () => {
    await start(expectRequest('ssl'), send(Buffer.from('N')), silence())
    expect(await failure(options({}, tls))).toMatchObject({
      kind: 'permanent',
      message: expect.stringMatching(/offers no TLS/),
    })
    await server?.finished(1)
  })

  it('and sends anything behind its answer is dropped before the handshake', async () => {
    for (const bytes of [Buffer.from('SS'), Buffer.concat([Buffer.from('S'), welcome()])]) {
      await start(expectRequest('ssl'), send(bytes), silence())
      expect(await failure(options({}, tls))).toMatchObject(broken)
      await server?.finished(1)
      await server?.stop()
    }
  })

  it('and answers with an error is waited out, and its unprotected words are not passed on', async () => {
    const said = raw.postgresError('FATAL', '28P01', 'visit evil.test')
    await start(expectRequest('ssl'), send(said), silence())
    const error = await failure(options({}, tls))
    expect(error).toMatchObject({ kind: 'transient', postgres: null })
    expect(`${error.message} ${error.poolerError.detail}`).not.toContain('evil')
  })

  it('and answers with something else is given up', async () => {
    for (const text of ['G', 'HTTP/1.1 400 Bad Request\r\n', '\0']) {
      await start(expectRequest('ssl'), send(Buffer.from(text)), silence())
      expect((await failure(options({}, tls))).kind).toBe('permanent')
      await server?.stop()
    }
  })

  it('and breaks off before or in the handshake is waited out', async () => {
    const ask = expectRequest('ssl')
    const yes = send(Buffer.from('S'))
    for (const script of [
      [ask, finish()],
      [ask, yes, finish()],
      [ask, yes, firstBytes, reset()],
    ]) {
      await start(...script)
      expect(await failure(options({}, tls))).toMatchObject(closed)
      await server?.stop()
    }
  })

  it('and talks nonsense in the handshake is given up', async () => {
    const nonsense = send(Buffer.from('this is no TLS record at all'))
    await start(expectRequest('ssl'), send(Buffer.from('S')), firstBytes, nonsense, ignoreAll())
    expect((await failure(options({}, tls))).kind).toBe('permanent')
  })

  it('and keeps silent before or in the handshake is left at the time limit', async () => {
    await expectTimeLimit([expectRequest('ssl')], tls)
    await expectTimeLimit([expectRequest('ssl'), send(Buffer.from('S')), firstBytes], tls)
  })

  it('is logged in to with its bytes one at a time', async () => {
    const certificate = selfSigned(['localhost'])
    await start(
      expectRequest('ssl'),
      send(Buffer.from('S')),
      upgradeToTls(certificate),
      expectStartup(),
      scramExchange({ password: 'geheim' }),
      send(welcome(), { kind: 'bytes' }),
      ignoreAll(),
    )
    const opened = await openServer(options({}, tls))
    expect(opened.method).toBe('scram')
    opened.socket.destroy()
    await server?.finished(1)
  })
})

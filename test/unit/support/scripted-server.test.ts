import { afterEach, describe, expect, test } from 'vitest'
import { selfSigned } from '../../support/certificates.ts'
import { RawClient } from '../../support/raw-client.ts'
import * as raw from '../../support/raw-messages.ts'
import { typesOf } from '../../support/raw-replies.ts'
import { reset, ScriptedServer, type Step } from '../../support/scripted-server.ts'
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
} from '../../support/scripted-steps.ts'
import { bothExtremes, oneByteEach } from '../../support/segments.ts'

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function start(...scripts: Step[][]): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(scripts, { waitMs: 2000 })
  closers.push(() => server.stop())
  return server
}

async function connect(server: ScriptedServer, options = {}): Promise<RawClient> {
  const client = await RawClient.connect({ port: server.port, ...options })
  closers.push(() => client.close())
  return client
}

const user = { user: 'someone', password: 'pencil' }

describe('scripted server', () => {
  test.each(bothExtremes)(
    'plays a login and a query for a client that sends $name',
    async (how) => {
      const server = await start([
        ...trustLogin({ processId: 5 }),
        expectTypes('Q', ({ body }) => expect(body.toString()).toBe('select 1\0')),
        send([raw.commandComplete('SELECT 0'), raw.readyForQuery('I')], oneByteEach),
        expectTypes('X'),
        finish(),
      ])
      const client = await connect(server, { segmentation: how.segmentation })
      expect((await client.login(user)).processId).toBe(5)
      await client.query('select 1')
      expect(typesOf(await client.untilReady())).toBe('CZ')
      await client.terminate()
      await client.readAll()
      await server.finished(1)
    },
  )

  test('a message that the script does not expect fails it, and the text names step and message', async () => {
    const server = await start([...trustLogin(), expectTypes('PB')])
    const client = await connect(server)
    await client.login(user)
    await client.query('select 1')
    await client.readAll()
    await expect(server.finished(1)).rejects.toThrow(
      /step 3 of 3: wanted messages PB, not Q; .*Q\(select 1\)/,
    )
  })

  test('a check that throws fails the script', async () => {
    const check = (pairs: ReadonlyMap<string, string>) => expect(pairs.get('user')).toBe('other')
    const server = await start([expectStartup(check)])
    const client = await connect(server)
    await client.send(raw.startupMessage({ user: 'someone' }))
    await client.readAll()
    await expect(server.finished(1)).rejects.toThrow(/step 1 of 1: .*other/s)
  })

  test('a connection that was never made fails the wait for it', async () => {
    const server = await start(trustLogin())
    await expect(server.finished(1, 20)).rejects.toThrow('0 of 1 connections after 20 ms')
  })

  test('a connection beyond the scripts is reset', async () => {
    const server = await start([ignoreAll()])
    await connect(server)
    // The reset may come while the client still waits for its connection, or after.
    const second = connect(server).then((client) => client.next())
    await expect(second).rejects.toThrow('stream reset')
  })

  test('each connection plays its own script', async () => {
    const server = await start(
      [expectRequest('ssl'), send(Buffer.from('N')), expectRequest('gssenc'), reset()],
      [expectRequest('cancel', ({ secret }) => expect(secret.toString()).toBe('key!')), finish()],
    )
    const first = await connect(server)
    await first.send(raw.sslRequest())
    expect(await first.answerByte()).toBe('N')
    await first.cancel(1, Buffer.from('key!'))
    await first.send(raw.gssencRequest())
    await first.readAll()
    expect(first.end).toBe('reset')
    await server.finished(2)
  })

  test('silence ends with the client and fails on a message', async () => {
    const server = await start([silence()], [silence()])
    const quiet = await connect(server)
    quiet.close()
    const loud = await connect(server)
    await loud.send(raw.sync())
    loud.halfClose()
    await expect(server.finished(2)).rejects.toThrow(/wanted no message.*received: S/)
  })

  test('an honest SCRAM exchange lets a client in that knows the password', async () => {
    const script = [expectStartup(), scramExchange({ password: 'pencil' }), send(welcome())]
    const server = await start(script, script)
    const client = await connect(server)
    expect((await client.login(user)).method).toBe('SCRAM-SHA-256')
    const wrong = await connect(server)
    await expect(wrong.login({ ...user, password: 'pen' })).rejects.toThrow()
    await expect(server.finished(2)).rejects.toThrow('a right proof')
  })

  test('a bent server signature reaches the client', async () => {
    const bendFinal = (text: string) => text.replace('v=', 'v=A')
    const server = await start([expectStartup(), scramExchange({ password: 'pencil', bendFinal })])
    const client = await connect(server)
    await expect(client.login(user)).rejects.toThrow('server signature is wrong')
  })

  test.each(bothExtremes)(
    'puts TLS around the connection, with bytes that come $name',
    async (how) => {
      const certificate = selfSigned(['localhost'])
      const server = await start([
        expectRequest('ssl'),
        send(Buffer.from('S')),
        upgradeToTls(certificate),
        ...trustLogin(),
        finish(),
      ])
      const options = { ca: certificate.cert, serverName: 'localhost', tls: 'request' }
      const client = await connect(server, { ...options, segmentation: how.segmentation })
      await client.login(user)
      await client.readAll()
      expect(client.end).toBe('fin')
      await server.finished(1)
    },
  )

  test('bytes behind the S are left to the client to find', async () => {
    const server = await start([
      expectRequest('ssl'),
      send(Buffer.concat([Buffer.from('S'), raw.readyForQuery('I')])),
      ignoreAll(),
    ])
    const client = await connect(server)
    await client.send(raw.sslRequest())
    expect(await client.answerByte()).toBe('S')
    await client.expect('Z')
  })
})

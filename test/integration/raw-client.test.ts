// The raw client against the real server: it can serve as a witness only if Postgres believes it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { bothExtremes, oneByteEach, whole } from '../support/segments.ts'

const certificate = selfSigned(['localhost'])
let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres({
    tls: certificate,
    hba: [
      'host all cleartext all password',
      'host all hashed all md5',
      'host all all all scram-sha-256',
    ],
  })
  await postgres.createRole('scram', 'pencil')
  await postgres.createRole('cleartext', 'pencil')
  await postgres.query(
    "set password_encryption = 'md5'; create role hashed login password 'pencil'",
  )
})
afterAll(() => postgres.stop())

const target = (user: string, password = 'pencil') => ({
  port: postgres.port,
  user,
  password,
  database: 'postgres',
})

describe('raw client and Postgres', () => {
  test.each([
    ['scram', 'SCRAM-SHA-256'],
    ['cleartext', 'cleartext'],
    ['hashed', 'md5'],
  ])('logs in as %s by %s', async (user, method) => {
    const client = await RawClient.connect(target(user))
    const result = await client.login(target(user))
    expect(result.method).toBe(method)
    expect(result.parameters.get('session_authorization')).toBe(user)
    client.close()
  })

  test('a wrong password is refused with the fields of the server', async () => {
    const refused = await RawClient.loggedIn(target('scram', 'wrong')).catch((error) => error)
    expect(refused).toBeInstanceOf(LoginRefused)
    expect(refused.sqlState).toBe('28P01')
  })

  test('the length of the cancel secret follows the protocol version', async () => {
    for (const [minor, bytes] of [
      [0, 4],
      [2, 32],
    ] as const) {
      const client = await RawClient.connect(target('scram'))
      expect((await client.login({ ...target('scram'), minor })).secret.length).toBe(bytes)
      client.close()
    }
  })

  test.each(bothExtremes)('runs both query protocols $name', async ({ segmentation }) => {
    const client = await RawClient.loggedIn({ ...target('scram'), segmentation })
    await client.query('select 1; select 2')
    expect(typesOf(await client.untilReady())).toBe('TDCTDCZ')
    await client.extendedQuery('select $1::text', ['a'])
    expect(rowsOf(await client.expect('12TDCZ'))).toEqual([['a']])
    await client.send(raw.functionCall(1397, ['-5']))
    const [response] = await client.expect('VZ')
    expect(response?.body.toString()).toBe('\0\0\0\u00015')
    await client.terminate()
    expect(await client.readAll()).toEqual([])
    expect(client.end).toBe('fin')
  })

  test.each([
    ['request', oneByteEach],
    ['request', whole],
    ['direct', oneByteEach],
    ['direct', whole],
  ] as const)('TLS by %s binds the login to the certificate', async (tls, segmentation) => {
    const options = { ...target('scram'), tls, segmentation, ca: certificate.cert }
    const client = await RawClient.connect({ ...options, serverName: 'localhost' })
    expect((await client.login(options)).method).toBe('SCRAM-SHA-256-PLUS')
    await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    expect(rowsOf(await client.untilReady())).toEqual([['t']])
    client.close()
  })

  test('channel binding can be left out', async () => {
    const options = { ...target('scram'), tls: 'request', channelBinding: 'never' } as const
    const client = await RawClient.connect(options)
    expect((await client.login(options)).method).toBe('SCRAM-SHA-256')
    client.close()
  })

  test('a certificate of another authority is refused', async () => {
    const ca = selfSigned(['localhost']).cert
    const refused = RawClient.connect({ ...target('scram'), tls: 'request', ca })
    await expect(refused).rejects.toThrow('wanted a TLS session')
  })

  test('a cancel request ends the query that runs', async () => {
    const client = await RawClient.connect(target('scram'))
    const { processId, secret } = await client.login(target('scram'))
    await client.query('select pg_sleep(60)')
    await eventually(async () => {
      const sql = "select 1 from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'"
      return (await postgres.query(sql, [processId])).length === 1
    })
    await client.cancel(processId, secret)
    const messages = await client.untilReady()
    expect(typesOf(messages).endsWith('EZ')).toBe(true)
    expect(errorFields(messages.at(-2)?.body ?? Buffer.alloc(0)).C).toBe('57014')
    client.close()
  })
})

// What a startup packet may ask for besides a name: settings, databases, replication. Both ports.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { type Mode, RunningPooler } from '../support/running-pooler.ts'
import type { TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
let project: TestProject
const clients: RawClient[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start()
  project = await pooler.project()
})
afterAll(() => pooler?.stop())
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
})

type Pairs = readonly (readonly [string, string])[]

async function connect(mode: Mode = 'transaction'): Promise<RawClient> {
  const client = await pooler.raw({ mode })
  clients.push(client)
  return client
}

async function login(mode: Mode, settings: Record<string, string>, database = project.database) {
  const client = await connect(mode)
  const { role, password } = project.app
  const result = await client.login({
    user: `${role}.${project.ref}`,
    password,
    database,
    settings,
  })
  return { client, ...result }
}

async function show(client: RawClient, ...names: string[]): Promise<(string | null)[]> {
  await client.query(`SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`)
  return rowsOf(await client.untilReady())[0] ?? []
}

/** The one answer to a startup packet with these pairs. */
async function refusalOfPacket(pairs: Pairs, mode: Mode = 'transaction') {
  const client = await connect(mode)
  await client.send(raw.startupMessage(pairs))
  const messages = await client.readAll()
  expect(typesOf(messages)).toBe('E')
  const fields = errorFields(messages[0]?.body as Buffer)
  expect(fields.S).toBe('FATAL')
  return fields
}

const modes = ['transaction', 'session'] satisfies Mode[]

describe.each(modes)('on the %s port', (mode) => {
  test('settings of the packet hold, and are reported as the server spells them', async () => {
    const { client, parameters } = await login(mode, {
      application_name: 'my app',
      DateStyle: 'german, dmy',
      TimeZone: 'utc',
      IntervalStyle: 'iso_8601',
      extra_float_digits: '0',
      search_path: 'pg_catalog',
      statement_timeout: '12345',
      client_encoding: 'latin1',
    })
    const reported = [
      'application_name',
      'DateStyle',
      'TimeZone',
      'IntervalStyle',
      'client_encoding',
    ]
    expect(reported.map((name) => parameters.get(name))).toEqual([
      'my app',
      'German, DMY',
      'UTC',
      'iso_8601',
      'LATIN1',
    ])
    expect(parameters.get('server_version')).toMatch(/^\d+/)
    expect(await show(client, 'extra_float_digits', 'search_path', 'statement_timeout')).toEqual([
      '0',
      'pg_catalog',
      '12345ms',
    ])
    expect(await show(client, 'DateStyle', 'TimeZone', 'application_name')).toEqual([
      'German, DMY',
      'UTC',
      'my app',
    ])
  })

  test('settings of options hold, in every way to write them; those of the packet win', async () => {
    const options =
      '-c work_mem=1MB -cextra_float_digits=1 --statement-timeout=7000 -c search_path=a,\\ b'
    const { client } = await login(mode, { options, extra_float_digits: '2' })
    const names = ['work_mem', 'extra_float_digits', 'statement_timeout', 'search_path']
    expect(await show(client, ...names)).toEqual(['1MB', '2', '7s', 'a, b'])
  })

  test('of a setting that comes twice the last wins', async () => {
    const client = await connect(mode)
    const { role, password } = project.app
    const settings = { options: '-c work_mem=1MB -c work_mem=2MB' }
    const user = `${role}.${project.ref}`
    await client.login({ user, password, database: project.database, settings })
    expect(await show(client, 'work_mem')).toEqual(['2MB'])
  })

  test.each([
    ['a value that the server refuses', { TimeZone: 'Nowhere/Land' }, '22023'],
    ['a name that nobody knows', { no_such_setting: '1' }, '42704'],
    ['a value of another kind', { options: '-c statement_timeout=soon' }, '22023'],
  ])("%s is refused in Postgres' own words", async (_name, settings, sqlState) => {
    const refused = await login(mode, settings).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(LoginRefused)
    const { fields } = refused as LoginRefused
    expect(fields).toMatchObject({ S: 'FATAL', C: sqlState })
    expect(fields.M).not.toContain('(E')
    const { client } = await login(mode, {})
    expect(await show(client, 'statement_timeout')).toEqual(['0'])
  })

  test('settings that only a start can set are refused before a password is asked for', async () => {
    const user = `${project.app.role}.${project.ref}`
    for (const name of ['log_connections', 'ignore_system_indexes', 'session_preload_libraries']) {
      for (const pairs of [[[name, 'on']], [['options', `-c ${name}=on`]]] as Pairs[]) {
        const fields = await refusalOfPacket([['user', user], ...pairs], mode)
        expect(fields).toMatchObject({ C: '55P02' })
        expect(fields.M).toContain(name)
      }
    }
  })

  test("a database that does not exist is refused in Postgres' own words", async () => {
    const refused = await login(mode, {}, 'no such database').catch((error: unknown) => error)
    expect((refused as LoginRefused).fields).toMatchObject({
      S: 'FATAL',
      C: '3D000',
      M: 'database "no such database" does not exist',
    })
  })
})

test.each([
  ['no user', [['database', 'x']], '28000', 'EINVALIDUSERINFO'],
  ['an empty user', [['user', '']], '28000', 'EINVALIDUSERINFO'],
  [
    'a second user',
    [
      ['user', 'a.b'],
      ['user', 'c.d'],
    ],
    '08P01',
    'ESTARTUPMESSAGE',
  ],
  [
    'a second database',
    [
      ['user', 'a.b'],
      ['database', 'c'],
      ['database', 'd'],
    ],
    '08P01',
    'ESTARTUPMESSAGE',
  ],
  ['a role of 64 bytes', [['user', `${'r'.repeat(64)}.ref`]], '28000', 'EINVALIDUSERINFO'],
  [
    'a database of 64 bytes',
    [
      ['user', 'a.b'],
      ['database', 'd'.repeat(64)],
    ],
    '28000',
    'EINVALIDUSERINFO',
  ],
  [
    'an option without a value',
    [
      ['user', 'a.b'],
      ['options', '-c work_mem'],
    ],
    '42601',
    'EOPTIONS',
  ],
  [
    'an option without a name',
    [
      ['user', 'a.b'],
      ['options', '-c =1'],
    ],
    '42601',
    'EOPTIONS',
  ],
  [
    'a flag of psql',
    [
      ['user', 'a.b'],
      ['options', '-Z'],
    ],
    '42601',
    'EOPTIONS',
  ],
  [
    'a -c at the end',
    [
      ['user', 'a.b'],
      ['options', '-c'],
    ],
    '42601',
    'EOPTIONS',
  ],
] as [string, Pairs, string, string][])('%s is refused', async (_name, pairs, sqlState, code) => {
  const fields = await refusalOfPacket(pairs)
  expect(fields).toMatchObject({ C: sqlState })
  expect(fields.M).toContain(`(${code})`)
  expect(fields.H).toBeTruthy()
})

test('names and values that are no UTF-8 are refused, an application name is cleaned', async () => {
  const bad = Buffer.from([0xff, 0xfe])
  const packet = (...parts: Buffer[]) => {
    const body = Buffer.concat([raw.int32(3 << 16), ...parts, Buffer.of(0)])
    return Buffer.concat([raw.int32(body.length + 4), body])
  }
  const user = [raw.cstring('user'), raw.cstring(`${project.app.role}.${project.ref}`)]
  for (const parts of [
    [raw.cstring('user'), raw.cstring(bad)],
    [...user, raw.cstring('database'), raw.cstring(bad)],
    [...user, raw.cstring(bad), raw.cstring('x')],
    [...user, raw.cstring('TimeZone'), raw.cstring(bad)],
  ]) {
    const client = await connect()
    await client.send(packet(...parts))
    const messages = await client.readAll()
    expect(typesOf(messages)).toBe('E')
    expect(['28000', '08P01']).toContain(errorFields(messages[0]?.body as Buffer).C)
  }
  const client = await connect()
  await client.send(packet(...user, raw.cstring('application_name'), raw.cstring(bad)))
  expect(typesOf([await client.next()])).toBe('R')
})

describe('replication', () => {
  test.each(['true', 'database', '1', 'on'])('%s is refused in transaction mode', async (value) => {
    const user = `${project.app.role}.${project.ref}`
    const fields = await refusalOfPacket([
      ['user', user],
      ['replication', value],
    ])
    expect(fields).toMatchObject({ C: '0A000' })
  })

  test('off is an ordinary connection', async () => {
    for (const mode of modes) await login(mode, { replication: 'off' })
  })

  test('in session mode a walsender answers, on a server that is nobody else', async () => {
    const replicating = await pooler.project({ attributes: 'REPLICATION' })
    const client = await connect('session')
    const { role, password } = replicating.app
    await client.login({
      user: `${role}.${replicating.ref}`,
      password,
      database: replicating.database,
      settings: { replication: 'database' },
    })
    await client.query('IDENTIFY_SYSTEM')
    const [row] = rowsOf(await client.untilReady())
    expect(row?.[3]).toBe(replicating.database)
  })

  test('a person with a token is refused', async () => {
    const person = await pooler.person(project)
    const client = await pooler.raw({ mode: 'session', tls: 'request' })
    clients.push(client)
    const refused = await client
      .login({
        user: `${project.people.role}.${project.ref}`,
        password: person.token,
        database: project.database,
        settings: { replication: 'database', options: '-c jit=on' },
      })
      .catch((error: unknown) => error)
    expect((refused as LoginRefused).fields).toMatchObject({ S: 'FATAL', C: '0A000' })
  })
})

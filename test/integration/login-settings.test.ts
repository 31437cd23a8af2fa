// What a login asks for means on a shared server what it means to one that has just been opened,
// whatever that server's last client has left; and so does what is remembered of the answer.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'

let pooled: PooledPostgres
beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1 })
})
afterEach(() => pooled.stop())

interface Seen {
  readonly value: string | null
  readonly told: string | undefined
}
type Settings = Record<string, string>

async function direct(settings: Settings, sql: string, told = ''): Promise<Seen> {
  const client = await RawClient.connect(pooled.direct())
  try {
    const { parameters } = await client.login({ ...pooled.direct(), settings })
    return { value: await pooled.value(client, sql), told: parameters.get(told) }
  } finally {
    client.close()
  }
}

async function through(settings: Settings, sql: string, told = ''): Promise<Seen> {
  const { client, login } = await pooled.login('transaction', { settings })
  return { value: await pooled.value(client, sql), told: login.parameters.get(told) }
}

async function leave(sql: string): Promise<RawClient> {
  const client = await pooled.client('transaction')
  await pooled.value(client, sql)
  return client
}

const noteSql = "select encode(convert_to(current_setting('kit.note'), 'utf8'), 'hex')"

test('of a DateStyle the half that is not given is not the last client’s', async () => {
  const settings = { DateStyle: 'DMY' }
  const expected = await direct(settings, 'show datestyle', 'DateStyle')
  await leave("set datestyle = 'SQL, MDY'")
  expect(await through(settings, 'show datestyle', 'DateStyle')).toEqual(expected)
})

test('later logins get it as the first one did', async () => {
  const settings = { DateStyle: 'iso' }
  const expected = await direct(settings, 'show datestyle', 'DateStyle')
  await leave("set datestyle = 'SQL, DMY'")
  for (let login = 0; login < 2; login++) {
    expect(await through(settings, 'show datestyle', 'DateStyle')).toEqual(expected)
  }
})

test('who had the server before keeps what it has set', async () => {
  const other = await leave("set datestyle = 'SQL, DMY'; set work_mem = '3MB'")
  await through({ DateStyle: 'ISO', work_mem: '5MB' }, 'select 1')
  const both = "select concat(current_setting('datestyle'), ' ', current_setting('work_mem'))"
  expect(await pooled.value(other, both)).toBe('SQL, DMY 3MB')
})

test('text beyond ASCII comes whole to a server that is in another encoding', async () => {
  const settings = { 'kit.note': 'é' }
  const expected = await direct(settings, noteSql)
  await leave("set client_encoding = 'latin1'")
  expect(await through(settings, noteSql)).toEqual(expected)
})

test.each(['session', 'transaction'] as const)(
  'text beyond ASCII beside a client_encoding is taken as it came, port %s',
  async (port) => {
    const settings = { client_encoding: 'LATIN1', 'kit.note': 'é' }
    const expected = await direct(settings, noteSql)
    const client = await pooled.client(port, { settings })
    expect(await pooled.value(client, noteSql)).toBe(expected.value)
  },
)

test('a role that somebody else has set refuses nothing', async () => {
  const role = `${pooled.role}_low`
  const parameter = 'log_min_duration_statement'
  const settings = { [parameter]: '5000' }
  const postgres = sharedPostgres()
  await postgres.query(`create role "${role}"`)
  await postgres.query(`grant "${role}" to "${pooled.role}"`)
  await postgres.query(`grant set on parameter ${parameter} to "${pooled.role}"`)
  try {
    const expected = await direct(settings, `show ${parameter}`)
    await leave(`set role "${role}"`)
    expect(await through(settings, `show ${parameter}`)).toEqual(expected)
  } finally {
    await postgres.query(`revoke set on parameter ${parameter} from "${pooled.role}"`)
    await postgres.query(`drop role "${role}"`)
  }
})

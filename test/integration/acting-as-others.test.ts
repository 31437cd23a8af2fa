// Clients of a superuser's that act as others (SET ROLE, SET SESSION AUTHORIZATION) and share one server: each
// statement runs as its client says, and what only the superuser may change does not end a neighbour.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { cstringsOf, errorFields, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
let plain: string[]
let one: RawClient
let other: RawClient

beforeEach(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, attributes: 'superuser' })
  plain = [uniqueName('plain'), uniqueName('plain'), uniqueName('plain')]
  const [group] = plain
  await sharedPostgres().query(`create role ${group}`)
  for (const name of plain.slice(1))
    await sharedPostgres().query(`create role ${name} in role ${group}`)
  one = await pooled.client('transaction')
  other = await pooled.client('transaction')
})
afterEach(async () => {
  await pooled.stop()
  await sharedPostgres().query(`drop role ${plain.join()}`)
})

/** Types of the replies without reports, or the error's text. */
async function run(client: RawClient, sql: string): Promise<string | undefined> {
  await client.query(sql)
  const replies = await client.untilReady()
  const error = replies.find(({ type }) => type === 'E')
  return error === undefined ? typesOf(replies).replaceAll('S', '') : errorFields(error.body).M
}

test('a role and a privileged setting are no matter of a client without them', async () => {
  expect(await run(one, "set session_replication_role = 'replica'")).toBe('CZ')
  expect(await run(one, `set role ${plain[0]}`)).toBe('CZ')
  for (let round = 0; round < 2; round++) {
    expect(await pooled.value(other, 'show session_replication_role')).toBe('origin')
    expect(await pooled.value(other, 'select current_user')).toBe(pooled.role)
    expect(await pooled.value(one, 'show session_replication_role')).toBe('replica')
    expect(await pooled.value(one, 'select current_user')).toBe(plain[0])
  }
})

test('a login with a privileged setting gets it on a server that has a role', async () => {
  expect(await run(one, `set role ${plain[0]}`)).toBe('CZ')
  const settings = { session_replication_role: 'replica' }
  const next = await pooled.client('transaction', { settings })
  expect(await pooled.value(next, 'show session_replication_role')).toBe('replica')
  expect(await pooled.value(one, 'select current_user')).toBe(plain[0])
})

test('two clients each have a role and a privileged setting', async () => {
  const both = (value: string, role?: string) =>
    `set session_replication_role = '${value}'; set role ${role}`
  expect(await run(one, both('replica', plain[1]))).toBe('CCZ')
  expect(await run(one, 'reset role')).toBe('CZ')
  expect(await run(other, both('local', plain[2]))).toBe('CCZ')
  expect(await run(one, `set role ${plain[1]}`)).toBe('CZ')
  for (const [client, expected] of [
    [other, `local ${plain[2]}`],
    [one, `replica ${plain[1]}`],
  ] as const) {
    const sql = "select current_setting('session_replication_role') || ' ' || current_user"
    expect(await pooled.value(client, sql)).toBe(expected)
  }
})

test('another session authorization under the same role', async () => {
  const users = [
    [one, plain[1]],
    [other, plain[2]],
  ] as const
  for (const [client, user] of users) {
    expect(await run(client, `set session authorization ${user}`)).toBe('CZ')
    expect(await run(client, `set role ${plain[0]}`)).toBe('CZ')
  }
  const sql = "select current_user || ' ' || session_user || ' ' || current_setting('role')"
  for (const [client, user] of [...users, ...users])
    expect(await pooled.value(client, sql)).toBe(`${plain[0]} ${user} ${plain[0]}`)
})

test('is_superuser is told as it is', async () => {
  expect(await run(one, `set role ${plain[0]}`)).toBe('CZ')
  for (let round = 0; round < 2; round++) {
    for (const client of [other, one]) {
      const expected = client === one ? 'off' : 'on'
      expect(await pooled.value(client, 'show is_superuser')).toBe(expected)
      const reports = client.received.filter(({ type }) => type === 'S')
      const told = reports.map(({ body }) => cstringsOf(body))
      expect(told.findLast(([name]) => name === 'is_superuser')?.[1]).toBe(expected)
    }
  }
})

// Attacks that belong to no other file. test/unit/attacks.test.ts tells where each of the others is
// tried.
import { connect } from 'node:net'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
let project: TestProject
const clients: Client[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start({ env: { JIT_POOL_SHARE: '1' } })
})
afterAll(() => pooler?.stop())
beforeEach(async () => {
  project = await pooler.project({ user: { poolSize: 2 } })
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()))
  await pooler.settled()
})

async function enter({ token }: TestPerson): Promise<Client> {
  const client = new Client({
    host: '127.0.0.1',
    port: pooler.portOf(),
    user: `${project.people.role}.${project.ref}`,
    password: token,
    database: project.database,
    application_name: 'psql',
    options: '-c jit=on',
    ssl: { ca: pooler.ca },
  })
  await client.connect()
  clients.push(client)
  return client
}

/** Everything that the API answers to these bytes until it closes, or has been asked to. */
async function answersTo(bytes: string): Promise<string[]> {
  const { hostname, port } = new URL(pooler.apiUrl)
  const socket = connect(Number(port), hostname)
  socket.end(bytes)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status as string)
}

describe('a request that hides another', () => {
  const hidden = 'GET /api/health HTTP/1.1\r\nHost: latchkey\r\n\r\n'
  const chunk = `0\r\n\r\n${hidden}`
  const post = (...headers: string[]) =>
    `POST /v1/projects/shop/database/jit/invite/accept HTTP/1.1\r\nHost: latchkey\r\n${headers.join('\r\n')}\r\n\r\n`

  test('is no riddle where both are honest: two are answered', async () => {
    expect(await answersTo(`${hidden}${hidden}`)).toEqual(['204', '204'])
  })

  test.each([
    ['two ways to tell its length', post('Content-Length: 4', 'Transfer-Encoding: chunked')],
    ['the same in the other order', post('Transfer-Encoding: chunked', 'Content-Length: 4')],
    ['two lengths', post('Content-Length: 5', `Content-Length: ${chunk.length}`)],
    ['a length in a list', post(`Content-Length: 5, ${chunk.length}`)],
    ['a length with a sign', post('Content-Length: +5')],
    ['a length with a space before its colon', post('Content-Length : 5')],
    ['a length on a folded line', post('X-Note: a\r\n Content-Length: 5', 'Content-Length: x')],
    ['an encoding that nobody knows', post('Transfer-Encoding: xchunked')],
    ['an encoding behind chunked', post('Transfer-Encoding: chunked, identity')],
    ['a bare line feed in its head', post('Content-Length: 5\nTransfer-Encoding: chunked')],
  ])('by %s is refused, and the hidden one is not read', async (_how, head) => {
    expect(await answersTo(`${head}${chunk}`)).toEqual(['400'])
  })
})

test('what a DO leaves behind is nobody else’s: role, temporary table, lock, setting', async () => {
  const { role } = project.people
  const group = await pooler.role('group')
  await sharedPostgres().query(`GRANT "${group.role}" TO "${role}"`)
  const [one, two] = [await pooler.person(project), await pooler.person(project)]
  const attacker = await enter(one)
  await attacker.query(`DO $$ BEGIN
    EXECUTE 'CREATE TEMP TABLE loot (x int)';
    PERFORM pg_advisory_lock(4711);
    PERFORM set_config('work_mem', '1234kB', false);
    EXECUTE 'SET ROLE "${group.role}"';
  END $$`)
  const look = `SELECT current_user, to_regclass('pg_temp.loot') AS loot, current_setting('work_mem') AS memory, pg_backend_pid() AS pid`
  const { rows: own } = await attacker.query(look)
  expect(own).toMatchObject([{ current_user: group.role, memory: '1234kB' }])
  const clean = { current_user: role, loot: null, memory: '4MB' }
  const victim = await enter(two)
  expect((await victim.query(look)).rows).toMatchObject([clean])
  await attacker.end()
  clients.splice(clients.indexOf(attacker), 1)
  // Both servers in the hands of others, whichever was the attacker's.
  const second = await enter(two)
  await victim.query('BEGIN')
  await second.query('BEGIN')
  for (const client of [victim, second]) {
    expect((await client.query(look)).rows).toMatchObject([clean])
  }
  const locked = 'SELECT pg_try_advisory_xact_lock(4711) AS is_free'
  expect((await victim.query(locked)).rows).toEqual([{ is_free: true }])
  await victim.query('COMMIT')
  await second.query('COMMIT')
})

test('a name that is put on and taken off in one Query fools who looks, and not the record', async () => {
  const person = await pooler.person(project)
  const owner = await pooler.person(project, { membership: 'owner' })
  const client = await enter(person)
  const name = (await client.query("SELECT current_setting('application_name') AS name")).rows
  const results = (await client.query(
    `SET application_name = 'bob@example.com via latchkey psql';
     SELECT pg_backend_pid() AS pid, application_name AS worn FROM pg_stat_activity WHERE pid = pg_backend_pid();
     SET application_name = 'psql'`,
  )) as unknown as { rows: { pid: number; worn: string }[] }[]
  const [{ pid, worn } = { pid: 0, worn: '' }] = results[1]?.rows ?? []
  expect(worn).toContain('bob@example.com')
  // Its next statement is under its own name again.
  expect((await client.query("SELECT current_setting('application_name') AS name")).rows).toEqual(
    name,
  )
  const path = `/v1/projects/${project.ref}/database/jit/holds?server_process_id=${pid}`
  const holds = await eventually(
    async () => {
      const { body } = await pooler.api('GET', path, owner.token)
      const { items } = body as { items: { user_id: string }[] }
      return items.length > 0 && items
    },
    { pollMs: 250 },
  )
  expect(new Set(holds.map(({ user_id }) => user_id))).toEqual(new Set([person.userId]))
})

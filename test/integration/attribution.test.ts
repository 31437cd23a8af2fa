// While a person holds a server, the server bears the person's name: in pg_stat_activity and in
// Postgres' own log, through every door, whatever the client calls itself. The client sees its own part.
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startPostgres, type TestPostgres, uniqueName } from '../support/postgres.ts'
import { type Mode, poolerDomain, RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

type Door = Mode | 'direct'
const doors = ['transaction', 'session', 'direct'] satisfies Door[]

let postgres: TestPostgres
let pooler: RunningPooler
let project: TestProject
const clients: Client[] = []

beforeAll(async () => {
  postgres = await startPostgres({
    settings: { log_line_prefix: '<%a> ', log_statement: 'all', logging_collector: 'off' },
  })
  pooler = await RunningPooler.start()
  project = await pooler.project()
  for (const { role, password } of [project.app, project.people]) {
    await postgres.createRole(role, password)
  }
  await postgres.createDatabase(project.database)
  await pooler.change(project, { dbHost: postgres.host, dbPort: postgres.port })
})
afterAll(async () => {
  await pooler?.stop()
  await postgres?.stop()
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})))
  await pooler.settled()
})

interface Entrance {
  readonly door: Door
  readonly name?: string
  /** null: the password of the same role. */
  readonly person: TestPerson | null
  readonly at?: RunningPooler
}

/** What the client was told of its name, latest last. */
const told = new WeakMap<Client, string[]>()

async function enter({ door, name, person, at = pooler }: Entrance): Promise<Client> {
  const { ref, people, database } = project
  const isDirect = door === 'direct'
  const client = new Client({
    host: '127.0.0.1',
    port: at.portOf(isDirect ? 'session' : door),
    user: isDirect ? people.role : `${people.role}.${ref}`,
    password: person?.token ?? people.password,
    database,
    ...(name !== undefined && { application_name: name }),
    ...(person !== null && !isDirect && { options: '-c jit=on' }),
    ssl: {
      ca: at.ca,
      ...(isDirect && {
        servername: `db.${ref}.${poolerDomain}`,
        checkServerIdentity: () => undefined,
      }),
    },
  })
  const names: string[] = []
  told.set(client, names)
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
  connection.on('parameterStatus', (one: { parameterName: string; parameterValue: string }) => {
    if (one.parameterName === 'application_name') names.push(one.parameterValue)
  })
  await client.connect()
  clients.push(client)
  return client
}

const shown = async (client: Client): Promise<string> =>
  (await client.query('SHOW application_name')).rows[0].application_name

const lastTold = (client: Client) => told.get(client)?.at(-1)

/** What others see of the server that ran `mark`. */
const seenAs = async (mark: string): Promise<unknown> =>
  (
    await postgres.query(
      "SELECT application_name FROM pg_stat_activity WHERE query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()",
      [mark],
    )
  )[0]?.application_name

describe.each(doors)('through the %s door', (door) => {
  let person: TestPerson
  let who: string
  beforeAll(async () => {
    person = await pooler.person(project)
    who = `${person.email} via latchkey`
  })

  test('a person is seen by name, and the client sees its own', async () => {
    const client = await enter({ door, name: 'psql', person })
    expect(lastTold(client)).toBe('psql')
    const mark = uniqueName('mark')
    await client.query(`BEGIN; SELECT '${mark}'`)
    expect(await seenAs(mark)).toBe(`${who} psql`)
    await client.query('COMMIT')
    expect(await shown(client)).toBe(`${who} psql`)
    expect(lastTold(client)).toBe('psql')
  })

  test('a client without a name is seen as the person alone', async () => {
    const client = await enter({ door, person })
    expect(lastTold(client)).toBe('')
    expect(await shown(client)).toBe(who)
  })

  test.each([
    ["SET application_name = 'other'", 'other', 'other'],
    ["SELECT set_config('application_name', 'other', false)", 'other', 'other'],
    ['SET application_name = DEFAULT', 'psql', 'psql'],
    ['RESET application_name', 'psql', 'psql'],
    ['RESET ALL', 'psql', 'psql'],
    ['DISCARD ALL', 'psql', 'psql'],
    ["SET application_name = 'bob@example.com via latchkey psql'", 'bob@example.com', 'bob@'],
    ["BEGIN; SET LOCAL application_name = 'other'; COMMIT", 'psql', 'psql'],
    ["BEGIN; SET application_name = 'other'; ROLLBACK", 'psql', 'psql'],
    ["BEGIN; SET application_name = 'other'; COMMIT", 'other', 'other'],
  ])('%s changes the client’s part alone', async (sql, own, part) => {
    const client = await enter({ door, name: 'psql', person })
    const { pid } = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0]
    const isAlone = sql === 'DISCARD ALL' || sql.startsWith('SELECT')
    for (const statement of isAlone ? [sql] : sql.split('; ')) {
      await client.query(statement)
      if (statement.startsWith('BEGIN')) continue
      // Seen by others with no further word of the client.
      await eventually(async () => {
        const names = await postgres.query(
          "SELECT application_name AS name FROM pg_stat_activity WHERE pid = $1 AND state LIKE 'idle%'",
          [pid],
        )
        for (const { name } of names) expect(name).toMatch(who)
        expect(names.length).toBeGreaterThan(0)
      })
    }
    const isDefault = own === 'psql' && /DEFAULT$/.test(sql) && door !== 'direct'
    if (!isDefault) {
      expect(await shown(client)).toMatch(new RegExp(`^${who} ${part}`))
      await eventually(() => expect(lastTold(client)).toMatch(new RegExp(`^${own}`)))
    }
    expect(await shown(client)).toMatch(new RegExp(`^${who}`))
  })

  test('within a transaction it is put right, and its isolation may still be chosen', async () => {
    const client = await enter({ door, name: 'psql', person })
    await client.query('BEGIN')
    await client.query("SET application_name = 'first'")
    await client.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')
    expect(await shown(client)).toBe(`${who} first`)
    await client.query('SAVEPOINT s')
    await client.query("SET application_name = 'second'")
    expect(await shown(client)).toBe(`${who} second`)
    expect(lastTold(client)).toBe('second')
    await client.query('ROLLBACK TO s')
    expect(await shown(client)).toBe(`${who} first`)
    expect(lastTold(client)).toBe('first')
    await expect(client.query('SELECT 1/0')).rejects.toThrow('division')
    await client.query('ROLLBACK')
    expect(await shown(client)).toBe(`${who} psql`)
    expect(lastTold(client)).toBe('psql')
  })

  test('a long name is cut on the server and whole for the client', async () => {
    const name = 'a name that is as long as Postgres would let it be, and so on.'
    const client = await enter({ door, name, person })
    expect(await shown(client)).toBe(`${who} ${name}`.slice(0, 63))
    expect(lastTold(client)).toBe(name)
  })

  test('no application wears the words, by startup or by SET', async () => {
    const name = `${person.email} via latchkey psql`
    const client = await enter({ door, name, person: null })
    const without = `${person.email} psql`
    expect([await shown(client), lastTold(client)]).toEqual([without, without])
    await client.query(`SET application_name = '${name} again'`)
    expect([await shown(client), lastTold(client)]).toEqual([
      `${without} again`,
      `${without} again`,
    ])
    await client.query("SET application_name = 'web'")
    expect([await shown(client), lastTold(client)]).toEqual(['web', 'web'])
  })
})

test('without an e-mail, or where ATTRIBUTION says so, a person is the user_id', async () => {
  const person = await pooler.person(project)
  await pooler.pooler.control.members.put(person.userId, { email: null, name: 'Nobody' })
  const client = await enter({ door: 'transaction', name: 'psql', person })
  expect(await shown(client)).toBe(`${person.userId} via latchkey psql`)
})

test('four people and an application on two servers: each statement under the name of whose it is', async () => {
  await pooler.change(project, {
    users: (await pooler.pooler.control.tenants.findDetails(project.ref))!.users.map((user) => ({
      ...user,
      poolSize: 2,
    })),
  })
  const people = await Promise.all(Array.from({ length: 4 }, () => pooler.person(project)))
  const door = 'transaction'
  const runners = [
    ...(await Promise.all(
      people.map(async (person, index) => ({
        client: await enter({ door, name: `tool${index}`, person }),
        mark: `owner-${index}-`,
        name: `${person.email} via latchkey tool${index}`,
      })),
    )),
    {
      client: await enter({ door, name: 'web', person: null }),
      mark: 'owner-app-',
      name: 'web',
    },
  ]
  const nameOf = (text: string) => runners.find(({ mark }) => text.includes(mark))?.name
  let isOver = false
  const rounds = 60
  const load = runners.map(async ({ client, mark }, runner) => {
    for (let round = 0; round < rounds; round++) {
      const note = `/* ${mark}${round} */`
      if (round % 5 === 0) {
        await client.query(`${note} BEGIN`)
        await client.query(`${note} SELECT pg_sleep(0.001)`)
        await client.query(`${note} COMMIT`)
      } else if (round % 7 === runner) {
        await client.query({ name: `s${runner}`, text: `SELECT '${mark}'` })
      } else await client.query(`${note} SELECT ${round}`)
    }
  })
  const watcher = new Client({ connectionString: postgres.url(project.database) })
  await watcher.connect()
  const pids = new Set<number>()
  const watch = (async () => {
    while (!isOver) {
      const { rows } = await watcher.query(
        "SELECT pid, application_name AS name, query FROM pg_stat_activity WHERE query LIKE '%owner-%' AND pid <> pg_backend_pid()",
      )
      for (const { pid, name, query } of rows) {
        pids.add(pid)
        expect({ query, name }).toEqual({ query, name: nameOf(query) })
      }
    }
  })()
  try {
    await Promise.all(load)
  } finally {
    isOver = true
    await watch
    await watcher.end()
  }
  expect(pids.size).toBe(2)
  const logged = () => postgres.recentLog.filter((line) => /^<.*owner-\w+-/.test(line))
  await eventually(() => expect(logged().length).toBeGreaterThan(runners.length))
  for (const line of logged()) {
    if (line.includes('pg_stat_activity')) continue
    expect(line.slice(1, line.indexOf('>'))).toBe(nameOf(line))
  }
})

// The record as those read it who must know afterwards who it was: each login has its end, each hold
// of a server its time, over several processes and through outages.
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { PresenceStore } from '../../pooler/store/presence.ts'
import { eventually as untilTrue } from '../support/eventually.ts'
import { identifier, sharedPostgres, startPostgres, uniqueName } from '../support/postgres.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

/** The API counts requests. */
const eventually = <Value>(check: () => Value | Promise<Value>) => untilTrue(check, { pollMs: 250 })

interface Item {
  readonly [column: string]: unknown
}

const secrets = {
  VAULT_ENC_KEY: randomBytes(32).toString('hex'),
  API_JWT_SECRET: randomBytes(24).toString('hex'),
}
let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
const clients: Client[] = []

beforeAll(async () => {
  pooler = await RunningPooler.start({ env: secrets })
  project = await pooler.project({ user: { poolSize: 2 } })
  owner = await pooler.person(project, { membership: 'owner' })
})
afterAll(() => pooler?.stop())
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})))
  await pooler.settled()
})

async function enter(token: string | null, at = pooler, of = project): Promise<Client> {
  const client = new Client({
    host: '127.0.0.1',
    port: at.portOf('transaction'),
    user: `${of.people.role}.${of.ref}`,
    password: token ?? of.people.password,
    database: of.database,
    application_name: 'psql',
    ...(token !== null && { options: '-c jit=on' }),
    ssl: { ca: at.ca },
  })
  client.on('error', () => {})
  await client.connect()
  clients.push(client)
  return client
}

async function list(what: string, query = '', bearer = owner.token): Promise<Item[]> {
  const path = `/v1/projects/${project.ref}/database/jit/${what}${query}`
  const { status, text, body } = await pooler.api('GET', path, bearer)
  expect(status, text).toBe(200)
  return (body as { items: Item[] }).items
}

const pidOf = async (client: Client): Promise<number> =>
  (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

const sessionOf = async (person: TestPerson): Promise<string> => {
  const session = await eventually(async () => {
    const found = await list('sessions')
    const own = found.find(({ user_id }) => user_id === person.userId)
    if (own === undefined) throw new Error('not in the list yet')
    return own
  })
  return String(session.id)
}

describe('holds', () => {
  test('of a server with nobody between are one, and another’s turn makes two', async () => {
    const person = await pooler.person(project)
    const client = await enter(person.token)
    const pid = await pidOf(client)
    for (let round = 0; round < 20; round++) expect(await pidOf(client)).toBe(pid)
    const id = await sessionOf(person)
    const held = () => list('holds', `?session_id=${id}`)
    await eventually(async () => {
      const [one, ...others] = await held()
      expect(others).toEqual([])
      expect(one).toMatchObject({
        session_id: id,
        user_id: person.userId,
        role: project.people.role,
        server_process_id: pid,
        to: expect.any(String),
      })
    })
    const app = await enter(null)
    expect(await pidOf(app)).toBe(pid)
    await client.query('BEGIN')
    await eventually(async () => {
      const [second, first] = await held()
      expect([second?.to, typeof first?.to]).toEqual([null, 'string'])
      expect([second?.server_process_id, first?.server_process_id]).toEqual([pid, pid])
    })
    await client.query('COMMIT')
    const query = `?server_process_id=${pid}&limit=1`
    expect(await list('holds', query)).toHaveLength(1)
  })

  test('are told in pages; others’ are not told to those who may see their own', async () => {
    const [one, other] = [await pooler.person(project), await pooler.person(project)]
    const [here, there] = [await enter(one.token), await enter(other.token)]
    for (let round = 0; round < 3; round++) {
      await here.query('SELECT 1')
      await there.query('SELECT 1')
    }
    await eventually(async () => {
      expect((await list('holds', `?user_id=${one.userId}`)).length).toBeGreaterThan(0)
      expect((await list('holds', `?user_id=${other.userId}`)).length).toBeGreaterThan(0)
    })
    expect(await list('holds', `?user_id=${other.userId}`, one.token)).toEqual([])
    const own = await list('holds', '', one.token)
    expect(new Set(own.map(({ user_id }) => user_id))).toEqual(new Set([one.userId]))
    const all = await list('holds', '?limit=500')
    const seen: unknown[] = []
    for (let cursor = ''; ; ) {
      const path = `/v1/projects/${project.ref}/database/jit/holds?limit=2${cursor}`
      const { body } = await pooler.api('GET', path, owner.token)
      const { items, next_cursor: next } = body as { items: Item[]; next_cursor: string | null }
      seen.push(...items)
      if (next === null) break
      cursor = `&cursor=${next}`
    }
    expect(seen).toEqual(all)
  })
})

test('what a person does to roles is recorded, by the server’s own word', async () => {
  await sharedPostgres().query(`ALTER ROLE ${identifier(project.people.role)} CREATEROLE`)
  const person = await pooler.person(project)
  const client = await enter(person.token)
  const made = uniqueName('made')
  await client.query(`CREATE USER ${identifier(made)}`)
  await client.query(`ALTER ROLE ${identifier(made)} CONNECTION LIMIT 3`)
  await client.query(`GRANT ${identifier(made)} TO ${identifier(project.people.role)}`)
  for (let round = 0; round < 50; round++) {
    await client.query(`ALTER ROLE ${identifier(made)} CONNECTION LIMIT ${round}`)
  }
  await client.query(`DROP ROLE ${identifier(made)}`)
  await client.end()
  await sharedPostgres().query(`ALTER ROLE ${identifier(project.people.role)} NOCREATEROLE`)
  await eventually(async () => {
    const events = await list('events', `?action=role_statement&user_id=${person.userId}`)
    const counts: Record<string, number> = {}
    for (const { details, count, role, session_id } of events) {
      const { tag } = details as { tag: string }
      counts[tag] = (counts[tag] ?? 0) + Number(count)
      expect([role, typeof session_id]).toEqual([project.people.role, 'string'])
    }
    expect(counts).toEqual({ 'CREATE ROLE': 1, 'ALTER ROLE': 51, 'GRANT ROLE': 1 })
    expect(events.length).toBeLessThan(20)
  })
})

describe('several processes', () => {
  let second: RunningPooler
  beforeAll(async () => {
    second = await RunningPooler.start({ databaseUrl: pooler.metadataUrl, env: secrets })
  })
  afterAll(() => second?.stop())

  test('each tells who is in through the other, and ends them', async () => {
    const person = await pooler.person(project)
    const client = await enter(person.token, second)
    const ended = new Promise<Error>((resolve) => client.on('error', resolve))
    const [id] = [await sessionOf(person)]
    const path = `/v1/projects/${project.ref}/database/jit/sessions/${id}`
    expect((await pooler.api('DELETE', path, owner.token)).status).toBe(200)
    expect((await ended).message).toMatch('EACCESSENDED')
    await eventually(async () => {
      expect((await list('sessions')).map((session) => session.id)).not.toContain(id)
      const events = await list('events', `?session_id=${id}`)
      expect(events.map(({ action }) => action).sort()).toEqual([
        'ended',
        'login',
        'session_ended_by_hand',
      ])
    })
  })

  test('the end of one that stops in order is in the record, and its name is gone', async () => {
    const third = await RunningPooler.start({ databaseUrl: pooler.metadataUrl, env: secrets })
    const person = await pooler.person(project)
    await enter(person.token, third)
    const id = await sessionOf(person)
    const processes = () =>
      sharedPostgres().query(
        'SELECT name FROM latchkey.processes',
        [],
        new URL(pooler.metadataUrl).pathname.slice(1),
      )
    const before = (await processes()).length
    await third.pooler.drain()
    expect((await processes()).length).toBe(before - 1)
    const events = await list('events', `?session_id=${id}`)
    expect(events.map(({ action }) => action)).toEqual(['ended', 'login'])
    expect((await list('sessions')).map((session) => session.id)).not.toContain(id)
    await third.stop()
  })

  test('a login whose process is gone is closed by another, once', async () => {
    const { database } = pooler.pooler.control
    const dead = new PresenceStore(database, 'dead')
    await dead.beat()
    const person = await pooler.person(project)
    const session = { sessionId: uniqueName('s'), ref: project.ref, role: 'some' }
    const rest = { userId: person.userId, email: person.email, address: '192.0.2.1' }
    const times = { applicationName: null, startedAtMs: Date.now(), endsAtMs: null }
    await dead.put([{ ...session, ...rest, ...times }])
    const metadata = new URL(pooler.metadataUrl).pathname.slice(1)
    const ask = (sql: string, params: unknown[] = []) =>
      sharedPostgres().query(sql, params, metadata)
    for (const [process, id, action] of [
      ['dead', session.sessionId, 'login'],
      ['dead', `${session.sessionId}-over`, 'login'],
      ['dead', `${session.sessionId}-over`, 'ended'],
      ['alive', `${session.sessionId}-alive`, 'login'],
    ]) {
      await ask(
        `INSERT INTO latchkey.events (time, project_ref, actor, action, session_id, occurrences, process)
         VALUES (now() - interval '1 hour', $1, $2, $3, $4, 1, $5)`,
        [project.ref, person.userId, action, id, process],
      )
    }
    await ask(
      `INSERT INTO latchkey.holds VALUES (gen_random_uuid(), $1, $2, $3, 'some', 42, now() - interval '1 hour', null, 'dead')`,
      [session.sessionId, project.ref, person.userId],
    )
    expect((await list('sessions')).map(({ id }) => id)).toContain(session.sessionId)
    await ask(
      "UPDATE latchkey.processes SET last_seen_at = now() - interval '2 min' WHERE name = 'dead'",
    )
    const others = ['one', 'other'].map((name) => new PresenceStore(database, name))
    const swept = await Promise.all(others.map((store) => store.sweep(60_000)))
    expect(swept.flat()).toEqual([
      { sessionId: session.sessionId, ref: project.ref, actor: person.userId },
    ])
    const [end] = await list('events', `?session_id=${session.sessionId}&action=ended`)
    expect(end).toMatchObject({ reason: 'process_lost', user_id: null, actor: person.userId })
    expect((await list('sessions')).map(({ id }) => id)).not.toContain(session.sessionId)
    const [hold] = await list('holds', `?session_id=${session.sessionId}`)
    expect(hold?.to).toEqual(expect.any(String))
  })
})

describe('as a file', () => {
  const path = () => `/v1/projects/${project.ref}/database/jit/events`

  test('NDJSON and CSV have every event, whatever the page', async () => {
    const person = await pooler.person(project)
    for (let round = 0; round < 3; round++) await (await enter(person.token)).end()
    await enter(`sbp_${'0'.repeat(40)}`).catch(() => {})
    const all = await eventually(async () => {
      const items = await list('events', `?user_id=${person.userId}&limit=500`)
      expect(items.filter(({ action }) => action === 'ended')).toHaveLength(3)
      return items
    })
    const query = `?user_id=${person.userId}&limit=1`
    const ndjson = await pooler.api('GET', `${path()}${query}&format=ndjson`, owner.token)
    expect(ndjson.headers.get('content-type')).toMatch('application/x-ndjson')
    expect(
      ndjson.text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(all)
    const csv = await pooler.api('GET', `${path()}${query}&format=csv`, owner.token)
    expect(csv.headers.get('content-type')).toMatch('text/csv')
    const [head, ...rows] = csv.text.trimEnd().split('\r\n')
    expect(head).toBe(Object.keys(all[0] as Item).join(','))
    expect(rows).toHaveLength(all.length)
    const accept = await fetch(`${pooler.apiUrl}${path()}`, {
      headers: { authorization: `Bearer ${owner.token}`, accept: 'text/csv' },
    })
    expect(accept.headers.get('content-disposition')).toMatch('events.csv')
    expect((await accept.text()).split('\r\n').length).toBeGreaterThan(all.length)
  })

  test('a client’s text is a cell and no formula', async () => {
    const person = await pooler.person(project)
    const { auditTrail, events } = pooler.pooler.control
    auditTrail.record({
      atMs: Date.now(),
      ref: project.ref,
      actor: person.userId,
      action: 'login',
      applicationName: '=cmd|\'/c calc\'!A1,"x"\r\ny',
    })
    await auditTrail.flush()
    const query = `?format=csv&user_id=${person.userId}`
    const { text } = await pooler.api('GET', `${path()}${query}`, owner.token)
    expect(text).toContain(`"'=cmd|'/c calc'!A1,""x""\r\ny"`)
    expect(
      (await events.query({ ref: project.ref, outcome: 'refused' })).events,
    ).not.toContainEqual(expect.objectContaining({ action: 'login' }))
  })

  test('by outcome', async () => {
    const person = await pooler.person(project)
    await enter(person.token)
    await pooler.api('POST', `/v1/projects/${project.ref}/database/jit`, person.token, {
      role: 'not_mine',
      rhost: '192.0.2.1',
    })
    await eventually(async () => {
      const who = `&user_id=${person.userId}`
      const allowed = await list('events', `?outcome=allowed${who}`)
      expect(allowed.map(({ action }) => action)).toEqual(['login'])
      const refused = await list('events', `?outcome=refused${who}`)
      expect(refused.map(({ action }) => action)).toEqual(['asked'])
    })
  })
})

test('while the metadata are away, what happens is kept and written when they are back', async () => {
  const metadata = await startPostgres()
  await metadata.createDatabase('meta')
  const alone = await RunningPooler.start({ databaseUrl: metadata.url('meta'), env: secrets })
  try {
    const shop = await alone.project({ user: { poolSize: 2 } })
    const person = await alone.person(shop)
    const inside = await Promise.all([1, 2, 3].map(() => enter(person.token, alone, shop)))
    for (const client of inside) await client.query('SELECT 1')
    const { control } = alone.pooler
    await metadata.halt('immediate')
    // Who leaves meanwhile has an end in the record, and who stays goes on.
    await inside[0]?.end()
    await inside[1]?.query('SELECT 1')
    let tries = 0
    await eventually(async () => {
      tries++
      const answer = await enter(person.token, alone, shop).then(
        () => 'in',
        (error: Error) => error.message,
      )
      if (!control.changes.isBlind) throw new Error(`not blind yet: ${answer}`)
      expect(answer).toMatch('EAUTHPROVIDER')
    })
    expect(tries).toBeGreaterThan(0)
    await metadata.restart()
    await eventually(() => expect(control.changes.isBlind).toBe(false))
    for (const client of clients.splice(0)) await client.end().catch(() => {})
    await eventually(async () => {
      const rows = await metadata.query(
        'SELECT session_id, array_agg(DISTINCT action ORDER BY action) AS actions FROM latchkey.events WHERE session_id IS NOT NULL AND actor = $1 GROUP BY session_id',
        [person.userId],
        'meta',
      )
      expect(rows.length).toBeGreaterThanOrEqual(3)
      for (const { actions } of rows) expect(actions).toEqual(['ended', 'login'])
      const held = await metadata.query(
        'SELECT 1 FROM latchkey.holds WHERE to_at IS NULL',
        [],
        'meta',
      )
      expect(held).toEqual([])
    })
    expect(alone.captured.text).not.toContain('without a row')
  } finally {
    await alone.stop()
    await metadata.stop()
  }
})

// Replication through the session port: logical and physical, by raw messages, by `postgres` and by
// pg_recvlogical, in COPY both ways; and who goes away in the middle of it.
import postgresJs from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { startPostgres, type TestPostgres, uniqueName } from '../support/postgres.ts'
import { needsProgram, Program } from '../support/program.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, rowsOf, typesOf } from '../support/raw-replies.ts'
import { bothExtremes, type Segmentation } from '../support/segments.ts'

let postgres: TestPostgres
let pooled: PooledPostgres
let slot: string

beforeAll(async () => {
  const settings = { wal_level: 'logical', max_wal_senders: '20', max_replication_slots: '40' }
  postgres = await startPostgres({ settings })
})
afterAll(() => postgres.stop())

beforeEach(async () => {
  pooled = await PooledPostgres.start(postgres, { poolSize: 2, attributes: 'REPLICATION' })
  slot = uniqueName('slot')
  await inDatabase(`create table kit (n int primary key, tag text);
    alter table kit owner to "${pooled.role}"; create publication all_of_it for all tables`)
  await inDatabase(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`)
})
afterEach(async () => {
  // The walsender of a client that left is told by its socket.
  await eventually(() => inDatabase(`select pg_drop_replication_slot('${slot}')`))
  await pooled.stop()
})

const inDatabase = (sql: string) => postgres.query(sql, undefined, pooled.database)

const replicating = (kind: 'database' | 'true', segmentation?: Segmentation) =>
  pooled.client('session', {
    database: pooled.database,
    settings: { replication: kind },
    ...(segmentation === undefined ? {} : { segmentation }),
  })

const startLogical = (client: RawClient) =>
  client.query(
    `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names 'all_of_it')`,
  )

/** Standby status update (Postgres manual, "Streaming Replication Protocol"); asks for a reply. */
const statusUpdate = (position: bigint) => {
  const body = Buffer.alloc(34)
  body.write('r', 'latin1')
  for (const at of [1, 9, 17]) body.writeBigUInt64BE(position, at)
  body[33] = 1
  return raw.copyData(body)
}

interface Streamed {
  /** Letters of what pgoutput said, keepalives left out. */
  readonly letters: string
  readonly end: bigint
  readonly keepalives: number
}

/** Reads the stream until it said `letters` of pgoutput. */
async function readStream(client: RawClient, letters: string): Promise<Streamed> {
  let said = ''
  let end = 0n
  let keepalives = 0
  while (said.length < letters.length) {
    const { type, body } = await client.next()
    expect(type).toBe('d')
    if (body.toString('latin1', 0, 1) === 'k') keepalives += 1
    else said += body.toString('latin1', 25, 26)
    end = body.readBigUInt64BE(9)
  }
  return { letters: said, end, keepalives }
}

describe.each(bothExtremes)('$name', ({ segmentation }) => {
  test('logical changes stream both ways, and the connection goes on behind CopyDone', async () => {
    const client = await replicating('database', segmentation)
    await startLogical(client)
    await client.untilType('W')
    await inDatabase("insert into kit values (1, 'one')")
    await inDatabase("begin; update kit set tag = 'two'; delete from kit; commit")
    // Begin, relation, insert, commit; begin, update, delete, commit.
    const { end } = await readStream(client, 'BRICBUDC')
    await client.send(statusUpdate(end))
    const keepalive = await client.next()
    expect(keepalive.body.toString('latin1', 0, 1)).toBe('k')
    await client.send(raw.copyDone())
    const rest = await client.untilReady()
    // Of the copy, and of START_REPLICATION itself.
    expect(typesOf(rest).replace(/d/g, '')).toBe('cCCZ')
    await client.query('IDENTIFY_SYSTEM')
    expect(rowsOf(await client.untilReady())[0]?.[3]).toBe(pooled.database)
    const [row] = await inDatabase(
      `select confirmed_flush_lsn - '0/0' = ${end} as "isConfirmed" from pg_replication_slots where slot_name = '${slot}'`,
    )
    expect(row?.isConfirmed).toBe(true)
  })

  test('physical WAL streams both ways', async () => {
    const client = await replicating('true', segmentation)
    await client.query('IDENTIFY_SYSTEM')
    const [row] = rowsOf(await client.untilReady())
    await client.query(`START_REPLICATION ${row?.[2]} TIMELINE ${row?.[1]}`)
    await client.untilType('W')
    await inDatabase('insert into kit select n from generate_series(1, 5000) n')
    let bytes = 0
    let end = 0n
    while (bytes < 100_000) {
      const { body } = await client.next()
      if (body.toString('latin1', 0, 1) !== 'w') continue
      bytes += body.length - 25
      end = body.readBigUInt64BE(1) + BigInt(body.length - 25)
    }
    await client.send(statusUpdate(end))
    await client.send(raw.copyDone())
    expect(typesOf(await client.untilReady()).replace(/d/g, '')).toMatch(/^c.*CZ$/)
  })
})

test('a base backup comes whole', async () => {
  const client = await replicating('true')
  await client.query("BASE_BACKUP (CHECKPOINT 'fast', WAIT false, MANIFEST 'yes')")
  const replies = await client.untilReady()
  const data = replies.filter(({ type }) => type === 'd')
  expect(typesOf(replies).replace(/d+/g, 'd')).toMatch(/CZ$/)
  expect(data.reduce((sum, { body }) => sum + body.length, 0)).toBeGreaterThan(5_000_000)
  const manifest = Buffer.concat(data.slice(-200).map(({ body }) => body.subarray(1))).toString(
    'latin1',
  )
  expect(manifest).toContain('"Manifest-Checksum"')
})

test('a client that is gone in the middle of a stream leaves no walsender', async () => {
  for (const go of ['reset', 'close'] as const) {
    const client = await replicating('database')
    await startLogical(client)
    await client.untilType('W')
    client[go]()
    await eventually(async () => {
      const [row] = await inDatabase(
        `select active from pg_replication_slots where slot_name = '${slot}'`,
      )
      return row?.active === false
    })
  }
  await pooled.settled()
  expect(await pooled.backends()).toEqual([])
})

test('a walsender that is terminated says so to its client, and nobody else has its connection', async () => {
  const client = await replicating('database')
  await startLogical(client)
  await client.untilType('W')
  const [backend] = await pooled.backends()
  await postgres.query('select pg_terminate_backend($1)', [backend?.pid])
  const fatal = (await client.readAll()).find(({ type }) => type === 'E')
  expect(errorFields(fatal?.body ?? Buffer.alloc(0))).toMatchObject({ S: 'FATAL', C: '57P01' })
  const next = await pooled.client('session')
  expect(await pooled.value(next, 'select 1')).toBe('1')
})

test('`postgres` subscribes to changes', async () => {
  const { port = 0 } = pooled.target('session')
  const sql = postgresJs({
    host: '127.0.0.1',
    port,
    username: String(pooled.target('session').user),
    password: pooled.password,
    database: pooled.database,
    max: 1,
    publications: 'all_of_it',
  })
  const heard: unknown[] = []
  try {
    const { unsubscribe } = await sql.subscribe('*', (row, { command }) => {
      heard.push([command, row?.n])
    })
    await sql`insert into kit values (7, 'seven'), (8, 'eight')`
    await sql`update kit set tag = 'x' where n = 7`
    await sql`delete from kit where n = 8`
    await eventually(() => heard.length === 4)
    expect(heard).toEqual([
      ['insert', 7],
      ['insert', 8],
      ['update', 7],
      ['delete', 8],
    ])
    unsubscribe()
  } finally {
    await sql.end({ timeout: 5 })
  }
})

test('pg_recvlogical receives up to the end that it was given', async (context) => {
  needsProgram(context, 'pg_recvlogical')
  await inDatabase("insert into kit values (1, 'received')")
  const [row] = await inDatabase('select pg_current_wal_lsn()::text as end')
  const { user, port } = pooled.target('session')
  const args = ['--slot', slot, '--start', '--endpos', String(row?.end), '--file', '-', '--no-loop']
  const options = ['--option', 'proto_version=1', '--option', 'publication_names=all_of_it']
  const where = ['-h', '127.0.0.1', '-p', String(port), '-U', user, '-d', pooled.database]
  const program = new Program('pg_recvlogical', [...args, ...options, ...where], {
    env: { PGPASSWORD: pooled.password },
  })
  // A later change takes it over the end.
  await inDatabase("insert into kit values (2, 'over the end')")
  const { exitCode, stdout, stderr } = await program.finished
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  expect(stdout).toContain('received')
})

// Clients that end badly, each in one moment of its life, and what else goes wrong on purpose. Each
// resolves when it is done with, and says what it did; what must not happen, it throws.
import type { Socket } from 'node:net'
import { Client } from 'pg'
import type { Address } from '../support/address.ts'
import { type BenchPostgres, otherRole, type Row } from '../support/postgres.ts'
import { Program } from '../support/program.ts'

export interface ChaosDeps {
  readonly postgres: BenchPostgres
  /** Through the pooler, in the pool that the measured load uses. */
  readonly app: Address
  /** Through the pooler, in a pool that the load does not use. */
  readonly other: Address
  /** Marks this action's statements, so that its server can be told from the load's. */
  readonly number: number
}

export type ChaosAction = (deps: ChaosDeps) => Promise<void>

const pollMs = 20
const markerTimeoutMs = 20_000
const burstClients = 6
const idleForMs = 1000

export const chaosActions: Readonly<Record<string, ChaosAction>> = {
  async 'killed in a query'(deps) {
    const psql = startPsql(deps, ['-c', `SELECT pg_sleep(60) ${mark(deps)}`])
    await untilSeen(deps, 'active')
    await killed(psql)
  },

  async 'killed in a transaction'(deps) {
    const psql = startPsql(deps)
    psql.write(`BEGIN; INSERT INTO chaos_rows VALUES (${deps.number});\nSELECT 1 ${mark(deps)};\n`)
    await untilSeen(deps, 'idle in transaction')
    await killed(psql)
  },

  async 'killed in a failed transaction'(deps) {
    const psql = startPsql(deps)
    psql.write(
      `BEGIN; INSERT INTO chaos_rows VALUES (${deps.number});\nSELECT 1/0 ${mark(deps)};\n`,
    )
    await untilSeen(deps, 'idle in transaction (aborted)')
    await killed(psql)
  },

  async 'killed in COPY from the client'(deps) {
    const psql = startPsql(deps)
    psql.write(`COPY chaos_rows FROM STDIN ${mark(deps)};\n`)
    psql.write(`${deps.number}\n`.repeat(5_000))
    await untilSeen(deps, 'active')
    await killed(psql)
  },

  async 'killed in COPY to a client that does not read'(deps) {
    const sql = `COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT ${mark(deps)}`
    const psql = new Program('psql', [...psqlArgs, '-c', sql], deps.app, true)
    await untilSeen(deps, 'active')
    await killed(psql)
  },

  async 'reset in the middle of rows'(deps) {
    const { client, socket } = await connect(deps.app)
    void client
      .query(`SELECT repeat('x', 1000) FROM generate_series(1, 1000000) ${mark(deps)}`)
      .catch(() => {})
    await untilSeen(deps, 'active')
    socket.pause()
    socket.resetAndDestroy()
  },

  async 'reset in an extended query'(deps) {
    const { client, socket } = await connect(deps.app)
    void client.query(`SELECT pg_sleep($1) ${mark(deps)}`, [60]).catch(() => {})
    await untilSeen(deps, 'active')
    socket.resetAndDestroy()
  },

  async 'reset while it logs in'(deps) {
    const client = new Client(deps.app)
    client.on('error', () => {})
    const connecting = client.connect().catch(() => {})
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
    await new Promise((resolve) => stream.once('data', resolve))
    stream.resetAndDestroy()
    await connecting
  },

  async 'server terminated under its query'(deps) {
    const psql = startPsql(deps, ['-c', `SELECT pg_sleep(60) ${mark(deps)}`])
    const pid = await untilSeen(deps, 'active')
    await deps.postgres.query('SELECT pg_terminate_backend($1)', [pid])
    await toldOfTermination(psql)
  },

  async 'server terminated in its transaction'(deps) {
    const psql = startPsql(deps)
    psql.write(`BEGIN; INSERT INTO chaos_rows VALUES (${deps.number});\nSELECT 1 ${mark(deps)};\n`)
    const pid = await untilSeen(deps, 'idle in transaction')
    await deps.postgres.query('SELECT pg_terminate_backend($1)', [pid])
    psql.write('SELECT 1;\n')
    psql.endInput()
    await toldOfTermination(psql)
  },

  /** Long idle ones only: the load takes the last used first, so it does not meet these. */
  async 'idle server terminated'(deps) {
    await deps.postgres.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE usename = $1 AND state = 'idle' AND query NOT LIKE '%chaos marker%'
         AND state_change < now() - $2 * interval '1 ms'
       ORDER BY state_change LIMIT 1`,
      [deps.postgres.address().user, idleForMs],
    )
  },

  async 'any server of the other pool terminated'(deps) {
    const asking = askOften(deps.other).catch(() => {})
    await deps.postgres.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1',
      [deps.postgres.address(otherRole).user],
    )
    await asking
  },

  /** They end well, and leave the pool with more servers than the load needs. */
  async 'burst of clients'(deps) {
    await Promise.all(
      Array.from({ length: burstClients }, async () => {
        const { client } = await connect(deps.app)
        await client.query(`SELECT pg_sleep(0.2) ${mark(deps)}`)
        await client.query('SELECT 1')
        await client.end()
      }),
    )
  },
}

/** Rejects when its server is terminated, be it in the login. */
async function askOften(address: Address): Promise<void> {
  const { client } = await connect(address)
  try {
    for (let left = 20; left > 0; left--) await client.query('SELECT pg_sleep(0.005)')
  } finally {
    await client.end().catch(() => {})
  }
}

/** Servers of a killed client are told apart by this text in pg_stat_activity. */
const mark = ({ number }: ChaosDeps): string => `/* chaos marker ${number}. */`

const psqlArgs = ['-X', '-q', '-A', '-t']

const startPsql = ({ app }: ChaosDeps, args: readonly string[] = []): Program =>
  new Program('psql', [...psqlArgs, ...args], app)

async function killed(psql: Program): Promise<void> {
  psql.kill('SIGKILL')
  await psql.ended
}

/** Postgres' own word must reach the client whose server it ended. */
async function toldOfTermination(psql: Program): Promise<void> {
  const { stderr } = await psql.ended
  if (!stderr.includes('terminating connection due to administrator command')) {
    throw new Error(`a client whose server was terminated was told: ${stderr.trim()}`)
  }
}

async function connect(address: Address): Promise<{ client: Client; socket: Socket }> {
  const client = new Client(address)
  client.on('error', () => {})
  await client.connect()
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  return { client, socket: stream }
}

/** Waits until Postgres shows the marked statement in this state; gives the backend's pid. */
async function untilSeen(deps: ChaosDeps, state: string): Promise<number> {
  const endMs = performance.now() + markerTimeoutMs
  while (performance.now() < endMs) {
    const rows: Row[] = await deps.postgres.query(
      'SELECT pid FROM pg_stat_activity WHERE state = $1 AND pid <> pg_backend_pid() AND query LIKE $2',
      [state, `%chaos marker ${deps.number}.%`],
    )
    const pid = rows[0]?.pid
    if (typeof pid === 'number') return pid
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  throw new Error(`no server came to be ${state}`)
}

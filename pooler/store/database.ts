// The metadata database: one bounded pool of connections, reached through kysely, every table in
// schema latchkey. What the rows mean is the stores' business.
import { Kysely, Migrator, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import type { Log } from '../../shared/log.ts'
import { metadataConnectionsMax } from '../config/limits.ts'
import { firstTables } from './migrations/001-first-tables.ts'
import { invitationsAndRoleIdentities } from './migrations/002-invitations-and-role-identities.ts'
import { serverLimits } from './migrations/002-server-limits.ts'
import { sessions } from './migrations/003-sessions.ts'
import { presence } from './migrations/004-presence.ts'
import { webSessions } from './migrations/006-web-sessions.ts'
import { sealingAnew } from './migrations/007-sealing-anew.ts'
import type { Schema } from './schema.ts'

export interface Database {
  readonly db: Kysely<Schema>
  /** Brings the schema up to date. Safe in several processes at once: an advisory lock orders them. */
  migrate(): Promise<void>
  isReachable(): Promise<boolean>
  close(): Promise<void>
}

export interface DatabaseOptions {
  readonly connectionsMax?: number
}

/**
 * A login waits for its look-up, so metadata that hang are told as unreachable before it times out, which
 * is after 15 s. A server that is merely short of processors answers within these.
 */
const connectTimeoutMs = 7000
const statementTimeoutMs = 5000

export function openDatabase(url: string, log: Log, options: DatabaseOptions = {}): Database {
  const pool = openPool(url, log, {
    max: options.connectionsMax ?? metadataConnectionsMax,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + 1000,
  })
  const db = kyselyOn(pool)
  return {
    db,
    migrate: () => migrate(url, log),
    async isReachable() {
      try {
        await sql`select 1`.execute(db)
        return true
      } catch {
        return false
      }
    },
    close: () => db.destroy(),
  }
}

const kyselyOn = (pool: pg.Pool) =>
  new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) }).withSchema('latchkey')

function openPool(url: string, log: Log, config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'latchkey',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    types: { getTypeParser },
    ...config,
  })
  pool.on('error', (error) => log.warn({ err: error }, 'a metadata connection was lost'))
  // The library listens to connections that are idle. One that breaks in use fails the query that
  // runs on it, and its event, heard by nobody, would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** int8 as a number: ids, byte counts and versions stay far below 2^53. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === pg.types.builtins.INT8 && format !== 'binary') return Number
  return format === 'binary'
    ? pg.types.getTypeParser(oid, 'binary')
    : pg.types.getTypeParser(oid, 'text')
}

/**
 * In the order of their names; one that has run anywhere keeps its name and its text. None of them
 * rests on another but the first, so one that joins them late may run late.
 */
const migrations = {
  '001-first-tables': firstTables,
  '002-invitations-and-role-identities': invitationsAndRoleIdentities,
  '002-server-limits': serverLimits,
  '003-sessions': sessions,
  '004-presence': presence,
  '006-web-sessions': webSessions,
  '007-sealing-anew': sealingAnew,
}

/** On a connection of its own without time limits: another process may hold the lock for long. */
async function migrate(url: string, log: Log): Promise<void> {
  const db = kyselyOn(openPool(url, log, { max: 1, lock_timeout: 0 }))
  try {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: () => Promise.resolve(migrations) },
      allowUnorderedMigrations: true,
      migrationTableSchema: 'latchkey',
    })
    const { error, results = [] } = await migrator.migrateToLatest()
    for (const { migrationName, status } of results) {
      log.info({ migration: migrationName, status }, 'metadata migration')
    }
    if (error !== undefined) throw new Error('the metadata schema cannot be made', { cause: error })
  } finally {
    await db.destroy()
  }
}

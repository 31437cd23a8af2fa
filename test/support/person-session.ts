// One person who is in with a token, as a test of endings sees them: the connection, the server
// behind it, and whether either is over.
import { expect } from 'vitest'
import { eventually } from './eventually.ts'
import { sharedPostgres, uniqueName } from './postgres.ts'
import type { RawClient } from './raw-client.ts'
import { errorFields, rowsOf, typesOf } from './raw-replies.ts'
import { type Mode, poolerDomain, type RunningPooler } from './running-pooler.ts'
import type { TestProject } from './running-projects.ts'

export type Door = Mode | 'direct'
export const doors = ['transaction', 'session', 'direct'] satisfies Door[]

export class PersonSession {
  readonly client: RawClient
  /** Of the server that answered last. */
  #pid = 0

  private constructor(client: RawClient) {
    this.client = client
  }

  static async enter(
    pooler: RunningPooler,
    project: TestProject,
    token: string,
    door: Door = 'transaction',
  ): Promise<PersonSession> {
    const { ref, database, people } = project
    const isDirect = door === 'direct'
    const client = await pooler.raw({
      mode: isDirect ? 'session' : door,
      tls: 'request',
      ...(isDirect && { serverName: `db.${ref}.${poolerDomain}` }),
    })
    const user = isDirect ? people.role : `${people.role}.${ref}`
    const settings: Record<string, string> = isDirect ? {} : { options: '-c jit=on' }
    await client.login({ user, password: token, database, settings })
    const session = new PersonSession(client)
    await session.answers()
    return session
  }

  get pid(): number {
    return this.#pid
  }

  /** Asks the server who it is. */
  async answers(): Promise<number> {
    await this.client.query('SELECT pg_backend_pid()')
    this.#pid = Number(rowsOf(await this.client.untilReady())[0]?.[0])
    expect(this.#pid).toBeGreaterThan(0)
    return this.#pid
  }

  /** Sends a statement and waits until a server works on it. */
  async work(sql: string): Promise<void> {
    const mark = uniqueName('work')
    await this.client.query(`/* ${mark} */ ${sql}`)
    const found = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1"
    await eventually(async () => {
      const [row] = await sharedPostgres().query(found, [`/* ${mark} */%`])
      if (row === undefined) throw new Error('no server works on it')
      this.#pid = Number(row.pid)
    })
  }

  async begin(): Promise<void> {
    await this.client.query('BEGIN; SELECT pg_backend_pid()')
    this.#pid = Number(rowsOf(await this.client.untilReady())[0]?.[0])
    await this.untilServer("state = 'idle in transaction'")
  }

  /** `condition` is one of pg_stat_activity. */
  async untilServer(condition: string): Promise<void> {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND ${condition}`
    await eventually(async () => (await sharedPostgres().query(sql, [this.#pid])).length === 1)
  }

  /** The server does nothing any more, or has gone. */
  async serverIsFree(): Promise<void> {
    const sql = "SELECT state, query FROM pg_stat_activity WHERE pid = $1 AND state <> 'idle'"
    await eventually(async () => {
      expect(await sharedPostgres().query(sql, [this.#pid])).toEqual([])
    })
  }

  /** The text of the FATAL that ended it; what came before it is thrown away. */
  async fatal(): Promise<Record<string, string>> {
    const messages = await this.client.readAll()
    expect(typesOf(messages)).toMatch(/E$/)
    const last = messages.at(-1)
    const fields = errorFields(last?.body as Buffer)
    expect(fields.S).toBe('FATAL')
    return fields
  }
}

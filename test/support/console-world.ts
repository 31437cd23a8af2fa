// A pooler with a console, and drivers on both sides of it.
import pg from 'pg'
import { RunningPooler } from './running-pooler.ts'
import type { TestProject } from './running-projects.ts'

export const adminPassword = 'the operator’s own word'
export const statsPassword = 'figures and nothing else'

export type Row = Record<string, unknown>

/** What a failed promise says, with its SQLSTATE; `none` for one that did not fail. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: Error & { code?: string }) => `${error.code} ${error.message}`,
  )

export class ConsoleWorld {
  readonly pooler: RunningPooler
  /** Set anew for each test. */
  project: TestProject
  readonly #open: pg.Client[] = []

  private constructor(pooler: RunningPooler, project: TestProject) {
    this.pooler = pooler
    this.project = project
  }

  static async start(): Promise<ConsoleWorld> {
    const env = { ADMIN_USER: 'root', ADMIN_PASSWORD: adminPassword, STATS_PASSWORD: statsPassword }
    const pooler = await RunningPooler.start({ env })
    return new ConsoleWorld(pooler, await pooler.project())
  }

  async newProject(): Promise<void> {
    this.project = await this.pooler.project({ user: { poolSize: 2 } })
  }

  /** An operator. */
  async connect({ user = 'root', password = adminPassword } = {}): Promise<pg.Client> {
    const port = this.pooler.portOf()
    return this.#track(
      new pg.Client({ host: '127.0.0.1', port, user, password, database: 'latchkey' }),
    )
  }

  /** A client of the project. */
  async app(): Promise<pg.Client> {
    const { role, password } = this.project.app
    const url = this.pooler.url(this.project, { role, password })
    return this.#track(new pg.Client({ connectionString: url }))
  }

  /** Rows that tell of the project. */
  async rowsOf(client: pg.Client, command: string): Promise<Row[]> {
    const { rows } = await client.query<Row>(command)
    return rows.filter((row) => [row.database, row.ref, row.name].includes(this.project.ref))
  }

  async settled(): Promise<void> {
    for (const one of this.#open.splice(0)) await one.end()
    await this.pooler.settled()
  }

  async #track(client: pg.Client): Promise<pg.Client> {
    client.on('error', () => {})
    await client.connect()
    this.#open.push(client)
    return client
  }
}

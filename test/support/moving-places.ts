// Places that a project can be moved between: two Postgres with the same roles and databases, one of them with
// and without TLS, and places where no database answers. Each database knows which place it is at.
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { selfSigned } from './certificates.ts'
import {
  identifier,
  literal,
  type PostgresAccess,
  sharedPostgres,
  startPostgres,
  type TestPostgres,
  uniqueName,
} from './postgres.ts'

export interface Place {
  /** What its databases say. */
  readonly name: string
  readonly port: number
  readonly tls: boolean
  /** serves; waits: nobody is told, since it may mend; refuses: everybody is told. */
  readonly kind: 'serves' | 'waits' | 'refuses'
}

const makeTables = (name: string): string =>
  `create table place as select ${literal(name)} as name;
   grant select on place to public;
   create table copied (number int, who text);
   grant all on copied to public;`

export class MovingPlaces {
  readonly roles = [uniqueName('mover'), uniqueName('other_mover')] as const
  /** Runs auth_query. */
  readonly manager = uniqueName('manager')
  readonly databases = [uniqueName('one'), uniqueName('two')] as const
  readonly all: readonly Place[]
  readonly #postgres: ReadonlyMap<string, PostgresAccess>
  readonly #own: TestPostgres
  readonly #dead: readonly net.Server[]

  private constructor(own: TestPostgres, dead: readonly net.Server[]) {
    const shared = sharedPostgres()
    this.#own = own
    this.#dead = dead
    this.#postgres = new Map<string, PostgresAccess>([
      ['here', shared],
      ['there', own],
    ])
    const [resetting = 0, hanging = 0] = dead.map(
      (server) => (server.address() as AddressInfo).port,
    )
    this.all = [
      { name: 'here', port: shared.port, tls: false, kind: 'serves' },
      { name: 'there', port: own.port, tls: false, kind: 'serves' },
      { name: 'there', port: own.port, tls: true, kind: 'serves' },
      { name: 'nowhere', port: resetting, tls: false, kind: 'waits' },
      { name: 'nowhere', port: hanging, tls: false, kind: 'waits' },
      { name: 'here', port: shared.port, tls: true, kind: 'refuses' },
    ]
  }

  static async make(): Promise<MovingPlaces> {
    const own = await startPostgres({ tls: selfSigned(['localhost']) })
    const dead = [
      net.createServer((socket) => socket.on('error', () => {}).resetAndDestroy()),
      net.createServer((socket) => socket.on('error', () => {}).resume()),
    ]
    for (const server of dead) await once(server.listen(0, '127.0.0.1'), 'listening')
    const places = new MovingPlaces(own, dead)
    for (const [name, postgres] of places.#postgres) {
      for (const role of places.roles) await postgres.createRole(role, null)
      await postgres.createRole(places.manager, null, 'SUPERUSER')
      for (const database of places.databases) {
        await postgres.createDatabase(database)
        await postgres.query(makeTables(name), undefined, database)
      }
    }
    return places
  }

  get serving(): Place[] {
    return this.all.filter(({ kind }) => kind === 'serves')
  }

  /** At all of them. */
  async setPassword(role: string, password: string): Promise<void> {
    const sql = `alter role ${identifier(role)} password ${literal(password)}`
    for (const postgres of this.#postgres.values()) await postgres.query(sql)
  }

  query(name: string, sql: string, values?: readonly unknown[], database?: string) {
    return (this.#postgres.get(name) as PostgresAccess).query(sql, values, database)
  }

  /** Backends of the roles, as `place pid`. */
  async backends(): Promise<string[]> {
    const sql = 'select pid from pg_stat_activity where usename = any($1)'
    const found: string[] = []
    for (const name of this.#postgres.keys()) {
      const rows = await this.query(name, sql, [this.roles])
      found.push(...rows.map(({ pid }) => `${name} ${pid}`))
    }
    return found
  }

  /** Fulfilled when it has ended. */
  async killBackend(backend: string): Promise<void> {
    const [name = '', pid] = backend.split(' ')
    await this.query(name, 'select pg_terminate_backend($1, 5000)', [pid])
  }

  async remove(): Promise<void> {
    for (const server of this.#dead) server.close()
    await this.#own.stop()
    for (const database of this.databases) await sharedPostgres().dropDatabase(database)
    for (const role of [...this.roles, this.manager]) await sharedPostgres().dropRole(role)
  }
}

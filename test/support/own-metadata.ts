// A metadata database with one project, for processes started as an operator starts them.
import { randomBytes } from 'node:crypto'
import { openDatabase } from '../../pooler/store/database.ts'
import { TenantStore } from '../../pooler/store/tenants.ts'
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { sharedPostgres, uniqueName } from './postgres.ts'

export class OwnMetadata {
  readonly name = uniqueName('metadata')
  readonly ref = 'processproject'
  readonly role = uniqueName('app')
  readonly password = randomBytes(12).toString('hex')
  readonly vaultKey = randomBytes(32).toString('hex')

  static async make(): Promise<OwnMetadata> {
    const own = new OwnMetadata()
    const postgres = sharedPostgres()
    await postgres.createDatabase(own.name)
    await postgres.createRole(own.role, own.password)
    const database = openDatabase(postgres.url(own.name), nullLog)
    await database.migrate()
    const tenants = new TenantStore(database, new SecretBox({ current: new Secret(own.vaultKey) }))
    await tenants.put(own.ref, {
      dbHost: postgres.host,
      dbPort: postgres.port,
      dbDatabase: 'postgres',
      ipVersion: 'v4',
      users: [{ dbUser: own.role, dbPassword: new Secret(own.password) }],
    })
    await database.close()
    return own
  }

  /** What a process needs to know of it. */
  get env(): Record<string, string> {
    return {
      DATABASE_URL: sharedPostgres().url(this.name),
      API_JWT_SECRET: randomBytes(24).toString('hex'),
      VAULT_ENC_KEY: this.vaultKey,
      PROXY_HOST: '127.0.0.1',
    }
  }

  get login() {
    return { user: `${this.role}.${this.ref}`, password: this.password, database: 'postgres' }
  }

  async drop(): Promise<void> {
    await sharedPostgres().dropDatabase(this.name)
    await sharedPostgres().dropRole(this.role)
  }
}

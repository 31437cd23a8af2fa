// A metadata database of a test's own, with all stores on it.
import { randomBytes } from 'node:crypto'
import { type Database, openDatabase } from '../../pooler/store/database.ts'
import { EventStore } from '../../pooler/store/events.ts'
import { MemberStore } from '../../pooler/store/members.ts'
import { RuleStore } from '../../pooler/store/rules.ts'
import type { TenantInput } from '../../pooler/store/tenant-input.ts'
import { TenantStore } from '../../pooler/store/tenants.ts'
import { TokenStore } from '../../pooler/store/tokens.ts'
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { sharedPostgres } from './postgres.ts'

export interface TestMetadata {
  readonly url: string
  readonly database: Database
  readonly box: SecretBox
  readonly tenants: TenantStore
  readonly members: MemberStore
  readonly tokens: TokenStore
  readonly rules: RuleStore
  readonly events: EventStore
  /** Closes the connections and drops the database. */
  close(): Promise<void>
}

export async function openTestMetadata(): Promise<TestMetadata> {
  const postgres = sharedPostgres()
  const name = `metadata_${randomBytes(6).toString('hex')}`
  await postgres.createDatabase(name)
  const url = postgres.url(name)
  const database = openDatabase(url, nullLog)
  await database.migrate()
  const box = new SecretBox({ current: new Secret(randomBytes(32).toString('hex')) })
  return {
    url,
    database,
    box,
    tenants: new TenantStore(database, box),
    members: new MemberStore(database),
    tokens: new TokenStore(database),
    rules: new RuleStore(database),
    events: new EventStore(database, 'test'),
    async close() {
      await database.close()
      await postgres.dropDatabase(name)
    },
  }
}

export const someTenant = (changes: Partial<TenantInput> = {}): TenantInput => ({
  dbHost: 'db.example.com',
  dbPort: 5432,
  dbDatabase: 'postgres',
  users: [{ dbUser: 'postgres', dbPassword: new Secret('pa55 wörd') }],
  ...changes,
})

// Projects and people of a running pooler, made through its own stores: each project with a database
// and roles of its own in the shared Postgres, so that test files never meet.
import { randomBytes, randomUUID } from 'node:crypto'
import type { TokenScope } from '../../pooler/access/token-scope.ts'
import type { ControlPlane } from '../../pooler/control-plane.ts'
import type { RuleInput } from '../../pooler/store/rules.ts'
import type { MembershipRole } from '../../pooler/store/schema.ts'
import type { TenantInput, TenantUserInput } from '../../pooler/store/tenant-input.ts'
import { newProjectRef } from '../../shared/ids.ts'
import { Secret } from '../../shared/secret.ts'
import { eventually } from './eventually.ts'
import { noteSecret } from './known-secrets.ts'
import { sharedPostgres, uniqueName } from './postgres.ts'
import { someRule } from './store-setup.ts'

export interface TestRole {
  readonly role: string
  readonly password: string
}

export interface TestProject {
  readonly ref: string
  readonly database: string
  /** An application's role. */
  readonly app: TestRole
  /** A role that people may be given; its password is stored as well. */
  readonly people: TestRole
}

export interface ProjectOptions {
  /** `stored`: passwords in the metadata. `query`: the database is asked, as a manager. */
  readonly auth?: 'stored' | 'query'
  readonly input?: Partial<TenantInput>
  /** Of both roles. */
  readonly user?: Partial<TenantUserInput>
  /** Of the application's role, as in CREATE ROLE. */
  readonly attributes?: string
}

export interface TestPerson {
  readonly userId: string
  readonly email: string
  readonly token: string
  readonly tokenId: string
}

export interface PersonOptions {
  readonly membership?: MembershipRole
  /** Roles without further conditions, or whole rules; none: a member without rules. */
  readonly rules?: readonly (string | RuleInput)[]
  readonly tokenExpiresAtMs?: number
  readonly scope?: TokenScope
}

/** Where they are written. */
export type ProjectStores = Pick<ControlPlane, 'tenants' | 'members' | 'tokens' | 'rules'>

export class RunningProjects {
  readonly #stores: ProjectStores
  readonly #isKnown: (ref: string, version: number) => boolean
  readonly #databases: string[] = []
  readonly #roles: string[] = []

  /** `isKnown`: whether the process has heard of that version of a project. */
  constructor(stores: ProjectStores, isKnown: (ref: string, version: number) => boolean) {
    this.#stores = stores
    this.#isKnown = isKnown
  }

  async make(options: ProjectOptions): Promise<TestProject> {
    const { auth = 'stored', user = {}, input = {} } = options
    const app = await this.role('app', options.attributes)
    const people = await this.role('people')
    const database = uniqueName('project')
    this.#databases.push(database)
    await sharedPostgres().createDatabase(database)
    await sharedPostgres().query(
      `GRANT ALL ON SCHEMA public TO "${app.role}", "${people.role}"`,
      [],
      database,
    )
    const ref = newProjectRef()
    const users: TenantUserInput[] = [userOf(people, user)]
    if (auth === 'stored') users.push(userOf(app, user))
    else users.push(userOf(await this.role('manager', 'SUPERUSER'), { isManager: true }))
    await this.#stores.tenants.put(ref, {
      dbHost: sharedPostgres().host,
      dbPort: sharedPostgres().port,
      dbDatabase: database,
      ipVersion: 'v4',
      requireUser: auth === 'stored',
      useJit: true,
      users,
      ...input,
    })
    return { ref, database, app, people }
  }

  /** Puts what is given over what is stored, and waits until the process knows. */
  async change({ ref }: TestProject, input: Partial<TenantInput>): Promise<void> {
    const { tenants } = this.#stores
    const details = await tenants.findDetails(ref)
    if (details === null) throw new Error(`project ${ref} is gone`)
    const { dbHost, dbPort, dbDatabase } = details.tenant
    const kept = { dbHost, dbPort, dbDatabase, users: details.users }
    const { tenant } = await tenants.put(ref, { ...kept, ...input })
    await eventually(() => this.#isKnown(ref, tenant.version))
  }

  async removeProject({ ref }: TestProject): Promise<void> {
    if (!(await this.#stores.tenants.remove(ref))) throw new Error(`project ${ref} is gone`)
  }

  async role(prefix: string, attributes = ''): Promise<TestRole> {
    const role = uniqueName(prefix)
    const password = randomBytes(12).toString('hex')
    noteSecret(password)
    this.#roles.push(role)
    await sharedPostgres().createRole(role, password, attributes)
    return { role, password }
  }

  async person(project: TestProject, options: PersonOptions): Promise<TestPerson> {
    const { members, tokens, rules } = this.#stores
    const userId = randomUUID()
    const email = `${uniqueName('person')}@example.com`
    await members.put(userId, { email, name: 'Somebody' })
    await members.putMembership(project.ref, userId, options.membership ?? 'developer', 'operator')
    const given = (options.rules ?? [project.people.role]).map((rule) =>
      typeof rule === 'string' ? someRule(rule) : rule,
    )
    if (given.length > 0) await rules.replaceForMember(project.ref, userId, given)
    const expiresAtMs = options.tokenExpiresAtMs ?? null
    const { scope } = options
    const { token, record } = await tokens.create({ userId, name: 'laptop', expiresAtMs, scope })
    noteSecret(token.reveal())
    return { userId, email, token: token.reveal(), tokenId: record.id }
  }

  /** After the pooler has stopped. */
  async remove(): Promise<void> {
    const postgres = sharedPostgres()
    for (const database of this.#databases.splice(0)) await postgres.dropDatabase(database)
    for (const role of this.#roles.splice(0)) await postgres.dropRole(role)
  }
}

function userOf({ role, password }: TestRole, more: Partial<TenantUserInput>): TenantUserInput {
  return { dbUser: role, dbPassword: new Secret(password), ...more }
}

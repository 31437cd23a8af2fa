// The project that `npm start` shows: entered in the metadata once, with an owner who may log in with
// a token. What its people change later stays changed. Printing is main.ts's.
import { join } from 'node:path'
import type { Secret } from '../../shared/secret.ts'
import type { MemberStore } from '../store/members.ts'
import type { RuleStore } from '../store/rules.ts'
import type { TenantDetails } from '../store/tenant-rows.ts'
import type { TenantStore } from '../store/tenants.ts'
import type { TokenStore } from '../store/tokens.ts'
import {
  demoAuthQuery,
  demoDatabase,
  managerRole,
  metadataDatabase,
  prepareDatabases,
} from './demo-databases.ts'
import type { Installation } from './installation.ts'
import { readPrivateFile, writePrivateFile } from './private-folder.ts'

/** EmbeddedPostgres, or what stands for it. */
export interface DemoServer {
  readonly host: string
  readonly port: number
  /** For the superuser. */
  url(database: string): string
}

export interface DemoStores {
  readonly tenants: Pick<TenantStore, 'findByRef' | 'list' | 'put'>
  readonly members: Pick<MemberStore, 'put' | 'putMembership'>
  readonly rules: Pick<RuleStore, 'replaceForMember'>
  readonly tokens: Pick<TokenStore, 'create'>
}

export interface DemoLogin {
  readonly role: string
  readonly password: Secret<string>
}

export interface DemoProject {
  readonly ref: string
  readonly database: string
  /** Gets in with a password. */
  readonly app: DemoLogin
  /** The owner's token is for this role; it has a password as well. */
  readonly postgres: DemoLogin
  readonly owner: { readonly userId: string; readonly email: string }
  /** On the first start only: nobody can read it a second time. */
  readonly token: Secret<string> | null
}

const ownerEmail = 'demo@example.com'
const pageRows = 1000

/** Makes the databases and roles on the first start, and gives the URL of the metadata: a secret. */
export async function prepareMetadata(
  installation: Installation,
  server: DemoServer,
): Promise<string> {
  await prepareDatabases(installation, (database) => server.url(database))
  const password = installation.passwords.latchkey.reveal()
  return `postgresql://latchkey:${password}@${server.host}:${server.port}/${metadataDatabase}`
}

/** Wants the metadata migrated. */
export async function findDemoProject(
  installation: Installation,
  server: DemoServer,
  stores: DemoStores,
): Promise<DemoProject> {
  const { ref, ownerId, passwords } = installation
  // Written last: a first start that was cut off is done again, and its token was shown to nobody.
  const doneFile = join(installation.home, 'demo-port')
  const knownPort = Number((await readPrivateFile(doneFile)) ?? 0)
  let token: Secret<string> | null = null
  if (knownPort === 0 || (await stores.tenants.findByRef(ref)) === null) {
    token = await enter(installation, server, stores)
  } else if (knownPort !== server.port) {
    await moveProjects(stores.tenants, server, knownPort)
  }
  if (knownPort !== server.port) await writePrivateFile(doneFile, String(server.port))
  return {
    ref,
    database: demoDatabase,
    app: { role: 'app', password: passwords.app },
    postgres: { role: 'postgres', password: passwords.postgres },
    owner: { userId: ownerId, email: ownerEmail },
    token,
  }
}

async function enter(
  { ref, ownerId, passwords }: Installation,
  server: DemoServer,
  { tenants, members, rules, tokens }: DemoStores,
): Promise<Secret<string>> {
  await tenants.put(ref, {
    name: 'Demo',
    dbHost: server.host,
    dbPort: server.port,
    dbDatabase: demoDatabase,
    ipVersion: 'v4',
    enforceSsl: true,
    requireUser: false,
    authQuery: demoAuthQuery,
    useJit: true,
    users: [
      { dbUser: managerRole, dbPassword: passwords.latchkey_manager, isManager: true },
      // A token opens servers with the role's stored password.
      { dbUser: 'postgres', dbPassword: passwords.postgres },
      { dbUser: 'app', dbPassword: passwords.app },
    ],
  })
  await members.put(ownerId, { email: ownerEmail, name: 'Demo owner' })
  await members.putMembership(ref, ownerId, 'owner', 'operator')
  const rule = { role: 'postgres', expiresAtMs: null, networksV4: [], networksV6: [] }
  await rules.replaceForMember(ref, ownerId, [
    { ...rule, branchesOnly: false, reason: 'made with the demo project' },
  ])
  const { token } = await tokens.create({ userId: ownerId, name: 'first start' })
  return token
}

/** The server's port of the last start was taken: its projects, branches too, are on another one now. */
async function moveProjects(
  tenants: DemoStores['tenants'],
  server: DemoServer,
  knownPort: number,
): Promise<void> {
  for (let after = ''; ; ) {
    const page = await tenants.list({ after, limit: pageRows })
    for (const details of page) {
      const { dbHost, dbPort } = details.tenant
      if (dbHost === server.host && dbPort === knownPort) await move(tenants, details, server.port)
    }
    if (page.length < pageRows) return
    after = page.at(-1)?.tenant.ref ?? ''
  }
}

async function move(
  tenants: DemoStores['tenants'],
  { tenant, users }: TenantDetails,
  dbPort: number,
): Promise<void> {
  const { ref, dbHost, dbDatabase } = tenant
  // Users go back as they are; a password that is not named stays.
  await tenants.put(ref, { dbHost, dbPort, dbDatabase, users })
}

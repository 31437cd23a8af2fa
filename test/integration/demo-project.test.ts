import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { demoAuthQuery } from '../../pooler/embedded/demo-databases.ts'
import {
  type DemoProject,
  findDemoProject,
  prepareMetadata,
} from '../../pooler/embedded/demo-project.ts'
import { EmbeddedPostgres } from '../../pooler/embedded/embedded-postgres.ts'
import { findInstallation, type Installation } from '../../pooler/embedded/installation.ts'
import { type Database, openDatabase } from '../../pooler/store/database.ts'
import { MemberStore } from '../../pooler/store/members.ts'
import { RuleStore } from '../../pooler/store/rules.ts'
import { TenantStore } from '../../pooler/store/tenants.ts'
import { hashToken, TokenStore } from '../../pooler/store/tokens.ts'
import { SecretBox } from '../../shared/crypto/secret-box.ts'
import { nullLog as log } from '../../shared/log.ts'

let parent: string
let home: string
const running: Demo[] = []

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'latchkey-demo-'))
  home = join(parent, '.latchkey')
})

afterEach(async () => {
  for (const demo of running.splice(0)) await demo.stop()
  await rm(parent, { recursive: true, force: true })
})

interface Demo {
  readonly installation: Installation
  readonly postgres: EmbeddedPostgres
  readonly project: DemoProject
  readonly database: Database
  readonly stores: {
    readonly tenants: TenantStore
    readonly members: MemberStore
    readonly rules: RuleStore
    readonly tokens: TokenStore
  }
  stop(): Promise<void>
}

/** All that `npm start` does with the embedded Postgres; `cutOff` stops it before the project. */
async function start(cutOff?: (stores: Demo['stores']) => Demo['stores']): Promise<Demo> {
  const installation = await findInstallation(home)
  const postgres = await EmbeddedPostgres.start({ home, log })
  try {
    const database = openDatabase(await prepareMetadata(installation, postgres), log)
    try {
      await database.migrate()
      const box = new SecretBox({ current: installation.vaultEncKey })
      const stores = {
        tenants: new TenantStore(database, box),
        members: new MemberStore(database),
        rules: new RuleStore(database),
        tokens: new TokenStore(database),
      }
      const project = await findDemoProject(installation, postgres, cutOff?.(stores) ?? stores)
      const stop = async (): Promise<void> => {
        await database.close()
        await postgres.stop()
      }
      const demo = { installation, postgres, project, database, stores, stop }
      running.push(demo)
      return demo
    } catch (error) {
      await database.close()
      throw error
    }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}

async function stop(demo: Demo): Promise<void> {
  running.splice(running.indexOf(demo), 1)
  await demo.stop()
}

/** The rows, or the SQLSTATE of the refusal. */
async function ask(
  demo: Demo,
  role: keyof Installation['passwords'],
  sql: string,
  values: readonly unknown[] = [],
  database = 'postgres',
): Promise<unknown> {
  const password = demo.installation.passwords[role].reveal()
  const { host, port } = demo.postgres
  const client = new Client({ host, port, user: role, password, database })
  try {
    await client.connect()
    return (await client.query(sql, [...values])).rows
  } catch (error) {
    return (error as { code?: string }).code ?? error
  } finally {
    await client.end()
  }
}

test('the first start gives a token once, and its owner has one rule in a project with TLS enforced', async () => {
  const demo = await start()
  const { project, stores } = demo
  const token = project.token?.reveal() ?? ''
  expect(token).toMatch(/^sbp_[0-9a-f]{40}$/)
  const found = await stores.tokens.findBySha256(hashToken(token))
  expect(found?.member).toMatchObject({ userId: project.owner.userId, isOperator: false })
  expect(await stores.members.roleOf(project.ref, project.owner.userId)).toBe('owner')
  const mapping = await stores.rules.find(project.ref, project.owner.userId)
  expect(mapping?.rules.map((rule) => [rule.role, rule.expiresAtMs])).toEqual([['postgres', null]])
  const tenant = await stores.tenants.findByRef(project.ref)
  expect(tenant).toMatchObject({ enforceSsl: true, useJit: true, requireUser: false })
  expect(tenant).toMatchObject({ dbPort: demo.postgres.port, dbDatabase: 'postgres' })
  await stop(demo)
  const again = await start()
  expect(again.project.token).toBeNull()
  expect(again.project.ref).toBe(project.ref)
  expect(again.project.app.password.reveal()).toBe(project.app.password.reveal())
  expect(await again.stores.rules.find(project.ref, project.owner.userId)).toEqual(mapping)
})

test('what people changed stays changed over a start', async () => {
  const first = await start()
  const { ref, owner } = first.project
  await first.stores.rules.remove(ref, owner.userId)
  await first.stores.tenants.setJit(ref, false)
  await ask(first, 'app', 'CREATE TABLE public.kept (n int)')
  await stop(first)
  const second = await start()
  expect(await second.stores.rules.find(ref, owner.userId)).toBeNull()
  expect((await second.stores.tenants.findByRef(ref))?.useJit).toBe(false)
  expect(await ask(second, 'app', 'SELECT * FROM public.kept')).toEqual([])
})

test('a first start that was cut off is made whole by the next, which shows the token', async () => {
  const cutOff = (stores: Demo['stores']) => ({
    ...stores,
    tokens: {
      create: () => Promise.reject(new Error('the light went out')),
    } as unknown as TokenStore,
  })
  await expect(start(cutOff)).rejects.toThrow('the light went out')
  const demo = await start()
  expect(demo.project.token?.reveal()).toMatch(/^sbp_/)
})

test('when the port had to change, the project and its branches are found on the new one', async () => {
  const first = await start()
  const { ref } = first.project
  const branch = { dbHost: '127.0.0.1', dbPort: first.postgres.port, dbDatabase: 'postgres' }
  await first.stores.tenants.put('branchofthedemo', { ...branch, parentRef: ref, users: [] })
  const elsewhere = { dbHost: 'db.example.com', dbPort: first.postgres.port, dbDatabase: 'x' }
  await first.stores.tenants.put('elsewhere', { ...elsewhere, users: [] })
  const before = await first.stores.tenants.findByRef(ref)
  await stop(first)
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(first.postgres.port, '127.0.0.1', resolve))
  const second = await start()
  other.close()
  expect(second.postgres.port).not.toBe(first.postgres.port)
  const portOf = async (name: string) => (await second.stores.tenants.findByRef(name))?.dbPort
  expect(await portOf(ref)).toBe(second.postgres.port)
  expect(await portOf('branchofthedemo')).toBe(second.postgres.port)
  expect(await portOf('elsewhere')).toBe(first.postgres.port)
  const after = await second.stores.tenants.findByRef(ref)
  const { dbPort: _port, version: _version, roles, ...rest } = after ?? ({} as never)
  expect(before).toMatchObject(rest)
  const secretOf = (tenant: typeof before) => tenant?.roles.get('postgres')?.password?.reveal()
  expect(secretOf(after)).toBe(secretOf(before))
  expect([...roles.keys()].sort()).toEqual(['app', 'latchkey_manager', 'postgres'])
})

test('roles have the least that they need', async () => {
  const demo = await start()
  const attributes =
    'SELECT rolsuper AS s, rolcreaterole AS r, rolcreatedb AS d, rolreplication OR rolbypassrls AS b FROM pg_roles WHERE rolname = current_user'
  const none = { s: false, r: false, d: false, b: false }
  expect(await ask(demo, 'postgres', attributes)).toEqual([{ ...none, r: true, d: true }])
  for (const role of ['app', 'latchkey_manager', 'latchkey'] as const) {
    expect(await ask(demo, role, attributes)).toEqual([none])
  }
  for (const role of ['postgres', 'app', 'latchkey_manager'] as const) {
    expect(await ask(demo, role, 'SELECT 1', [], 'latchkey')).toBe('42501')
    expect(await ask(demo, role, 'SELECT rolpassword FROM pg_authid')).toBe('42501')
  }
  expect(await ask(demo, 'postgres', 'CREATE TABLE public.mine (n int)')).toEqual([])
  expect(await ask(demo, 'postgres', 'ALTER ROLE latchkey_manager PASSWORD NULL')).toBe('42501')
  expect(await ask(demo, 'postgres', 'DROP SCHEMA latchkey_auth CASCADE')).toBe('42501')
})

test('the manager reads one verifier at a time, and never that of the superuser', async () => {
  const demo = await start()
  const verifier = expect.stringMatching(/^SCRAM-SHA-256\$4096:/)
  expect(await ask(demo, 'latchkey_manager', demoAuthQuery, ['app'])).toEqual([
    { rolname: 'app', rolpassword: verifier, rolvaliduntil: null },
  ])
  await ask(demo, 'postgres', "CREATE ROLE later LOGIN PASSWORD 'x' VALID UNTIL '2031-01-01Z'")
  expect(await ask(demo, 'latchkey_manager', demoAuthQuery, ['later'])).toEqual([
    { rolname: 'later', rolpassword: verifier, rolvaliduntil: new Date('2031-01-01Z') },
  ])
  for (const name of ['latchkey_admin', 'nobody', 'pg_monitor', "app' OR '1'='1"]) {
    expect(await ask(demo, 'latchkey_manager', demoAuthQuery, [name])).toEqual([])
  }
  for (const role of ['app', 'postgres', 'latchkey'] as const) {
    expect(await ask(demo, role, demoAuthQuery, ['app'])).toBe('42501')
  }
})

test('two first starts at once agree on the secrets', async () => {
  const all = await Promise.all([1, 2, 3, 4].map(() => findInstallation(home)))
  const later = await findInstallation(home)
  for (const each of all) {
    expect(each.ref).toBe(later.ref)
    expect(each.vaultEncKey.reveal()).toBe(later.vaultEncKey.reveal())
  }
})

test('secrets are random, closed to others, and missed when they are gone', async () => {
  const demo = await start()
  await stop(demo)
  const path = join(home, 'secrets.json')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  const text = await readFile(path, 'utf8')
  expect(text).not.toContain(demo.project.token?.reveal())
  await writeFile(path, text.slice(0, 50))
  await expect(start()).rejects.toMatchObject({ name: 'StartError' })
  await writeFile(path, text.replace(/"demoRef": "[a-z]+"/, '"demoRef": "no ref"'))
  await expect(start()).rejects.toThrow('no usable demoRef')
  await rm(path)
  for (const _again of [1, 2]) {
    await expect(start()).rejects.toThrow('secrets.json is missing, but the data')
  }
})

import { expect, test } from 'vitest'
import { Secret } from '../../shared/secret.ts'
import { someTenant } from '../support/metadata.ts'
import { refusal, StoreSetup } from '../support/store-setup.ts'

const setup = new StoreSetup()

test('a tenant comes back as it was put, with its passwords', async () => {
  const ref = setup.newRef()
  const { tenant, isCreated } = await setup.metadata.tenants.put(
    ref,
    someTenant({
      name: 'Shop',
      upstreamTls: 'verify-full',
      sniHostname: 'DB.Shop.Example',
      allowList: ['10.0.0.0/8'],
      useJit: true,
      defaultPoolSize: 7,
      users: [
        { dbUser: 'app', dbPassword: new Secret('pa55 wörd'), poolSize: 3, maxClients: 0 },
        { dbUser: 'plain', dbPassword: null },
      ],
    }),
  )
  expect(isCreated).toBe(true)
  expect(tenant).toMatchObject({
    ref,
    name: 'Shop',
    upstreamTls: 'verify-full',
    sniHostname: 'db.shop.example',
    allowList: ['10.0.0.0/8'],
    useJit: true,
    jitUpstream: 'stored',
    ban: null,
  })
  expect(tenant.roles.get('app')).toMatchObject({ poolSize: 3, maxClients: 0 })
  expect(tenant.roles.get('app')?.password?.reveal()).toBe('pa55 wörd')
  expect(tenant.roles.get('plain')).toMatchObject({ poolSize: 7, password: null })
  expect(await setup.metadata.tenants.findByRef(ref)).toEqual(tenant)
  expect(await setup.metadata.tenants.findBySniHostname('db.SHOP.example')).toEqual(tenant)
})

test('no password lies in the metadata in clear', async () => {
  const tenant = await setup.newProject()
  const rows = await setup.metadata.database.db
    .selectFrom('tenant_roles')
    .select('db_password')
    .where('project_ref', '=', tenant.ref)
    .execute()
  expect(rows[0]?.db_password?.toString('latin1')).not.toContain('pa55')
})

test('a password that was moved to another role does not open', async () => {
  const tenant = await setup.newProject()
  await setup.metadata.database.db
    .updateTable('tenant_roles')
    .set({ db_user: 'thief' })
    .where('project_ref', '=', tenant.ref)
    .execute()
  const read = await setup.metadata.tenants.findByRef(tenant.ref)
  expect(read?.roles.get('thief')).toMatchObject({ password: null, isPasswordUnopened: true })
})

test('a second put replaces the roles, keeps what it leaves out, and raises the version', async () => {
  const first = await setup.newProject({ name: 'Kept', useJit: true })
  const { tenant, isCreated } = await setup.metadata.tenants.put(
    first.ref,
    someTenant({ dbHost: 'elsewhere', users: [{ dbUser: 'postgres' }, { dbUser: 'new' }] }),
  )
  expect(isCreated).toBe(false)
  expect(tenant).toMatchObject({ id: first.id, name: 'Kept', useJit: true, dbHost: 'elsewhere' })
  expect([...tenant.roles.keys()]).toEqual(['new', 'postgres'])
  expect(tenant.roles.get('postgres')?.password?.reveal()).toBe('pa55 wörd')
  expect(tenant.version).toBeGreaterThan(first.version)
})

test('a tenant that is made again under an old ref has a newer version', async () => {
  const first = await setup.newProject()
  expect(await setup.metadata.tenants.remove(first.ref)).toBe(true)
  expect(await setup.metadata.tenants.findByRef(first.ref)).toBeNull()
  expect(await setup.metadata.tenants.remove(first.ref)).toBe(false)
  const { tenant, isCreated } = await setup.metadata.tenants.put(first.ref, someTenant())
  expect(isCreated).toBe(true)
  expect(tenant.version).toBeGreaterThan(first.version)
})

test('a server name belongs to one tenant, and a refused put changes nothing', async () => {
  await setup.newProject({ sniHostname: 'taken.example' })
  const other = await setup.newProject()
  const taking = setup.metadata.tenants.put(
    other.ref,
    someTenant({ sniHostname: 'taken.example', dbHost: 'x' }),
  )
  await expect(taking).rejects.toEqual(refusal('conflict'))
  expect(await setup.metadata.tenants.findByRef(other.ref)).toEqual(other)
})

test('a role given twice and two managers are refused', async () => {
  const user = { dbUser: 'a' }
  const twice = setup.metadata.tenants.put(setup.newRef(), someTenant({ users: [user, user] }))
  await expect(twice).rejects.toEqual(refusal('invalid'))
  const managers = [
    { dbUser: 'a', isManager: true },
    { dbUser: 'b', isManager: true },
  ]
  const both = setup.metadata.tenants.put(setup.newRef(), someTenant({ users: managers }))
  await expect(both).rejects.toEqual(refusal('invalid'))
})

test('the manager can change from one role to another in one put', async () => {
  const tenant = await setup.newProject({
    requireUser: false,
    users: [{ dbUser: 'a', isManager: true }, { dbUser: 'z' }],
  })
  const users = [{ dbUser: 'z' }, { dbUser: 'a' }]
  for (const manager of ['z', 'a']) {
    const changed = users.map((user) => ({ ...user, isManager: user.dbUser === manager }))
    const { tenant: now } = await setup.metadata.tenants.put(
      tenant.ref,
      someTenant({ users: changed }),
    )
    expect([...now.roles.values()].find((role) => role.isManager)?.role).toBe(manager)
  }
})

test('manager credentials change only where there is a manager and an auth query', async () => {
  const tenant = await setup.newProject({
    requireUser: false,
    users: [{ dbUser: 'manager', isManager: true, dbPassword: new Secret('old') }],
  })
  const changed = await setup.metadata.tenants.updateManagerCredentials(
    tenant.ref,
    'manager2',
    new Secret('new'),
  )
  expect(changed.roles.get('manager2')?.password?.reveal()).toBe('new')
  expect(changed.roles.has('manager')).toBe(false)
  const stored = await setup.newProject()
  const refused = setup.metadata.tenants.updateManagerCredentials(stored.ref, 'm', new Secret('x'))
  await expect(refused).rejects.toEqual(refusal('invalid'))
})

test('a ban is set with its reason and end, and lifted', async () => {
  const { ref } = await setup.newProject()
  const untilMs = Date.UTC(2030, 0, 1)
  const banned = await setup.metadata.tenants.setBan(ref, { reason: 'abuse', untilMs })
  expect(banned.ban).toMatchObject({ reason: 'abuse', untilMs })
  expect((await setup.metadata.tenants.setBan(ref, null)).ban).toBeNull()
  const missing = setup.metadata.tenants.setBan('nothing', null)
  await expect(missing).rejects.toEqual(refusal('not_found'))
})

test('a branch has the state of its parent, and no state or branches of its own', async () => {
  const parent = await setup.newProject({ useJit: true })
  const branch = await setup.newProject({ parentRef: parent.ref })
  expect(branch.useJit).toBe(true)
  await setup.metadata.tenants.setJit(parent.ref, false)
  const now = await setup.metadata.tenants.findByRef(branch.ref)
  expect(now?.useJit).toBe(false)
  expect(now?.version).toBeGreaterThan(branch.version)
  expect((await setup.metadata.tenants.branchesOf(parent.ref)).map((one) => one.ref)).toEqual([
    branch.ref,
  ])
  await expect(setup.metadata.tenants.setJit(branch.ref, true)).rejects.toEqual(refusal('conflict'))
  const nested = setup.metadata.tenants.put(setup.newRef(), someTenant({ parentRef: branch.ref }))
  await expect(nested).rejects.toEqual(refusal('conflict'))
  await setup.metadata.tenants.remove(parent.ref)
  expect(await setup.metadata.tenants.findByRef(branch.ref)).toBeNull()
})

test('of temporary access and its condition, whichever comes second is refused', async () => {
  const { ref } = await setup.newProject({ enforceSsl: true })
  const { tenants } = setup.metadata
  for (let round = 0; round < 10; round++) {
    const both = await Promise.all([tenants.setJit(ref, true), tenants.setEnforceSsl(ref, false)])
    expect(both.filter((one) => one === null)).toHaveLength(1)
    const now = await tenants.findByRef(ref)
    expect(now?.useJit).toBe(now?.enforceSsl)
    await tenants.setJit(ref, false)
    await tenants.setEnforceSsl(ref, true)
  }
})

test('details tell whether a password is stored, and pages go on by ref', async () => {
  const tenant = await setup.newProject({ users: [{ dbUser: 'a', dbPassword: null }] })
  const details = await setup.metadata.tenants.findDetails(tenant.ref)
  expect(details?.users[0]).toMatchObject({ dbUser: 'a', hasPassword: false, poolSize: null })
  expect(details?.createdAtMs).toBeGreaterThan(Date.UTC(2020, 0, 1))
  const first = await setup.metadata.tenants.list({ limit: 1 })
  const second = await setup.metadata.tenants.list({ limit: 1, after: first[0]?.tenant.ref ?? '' })
  expect(second[0]?.tenant.ref).not.toBe(first[0]?.tenant.ref)
})

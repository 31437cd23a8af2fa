import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../pooler/store/database.ts'
import type { RuleInput } from '../../pooler/store/rules.ts'
import { hashToken } from '../../pooler/store/tokens.ts'
import { nullLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import { openTestMetadata, someTenant, type TestMetadata } from '../support/metadata.ts'
import { sharedPostgres } from '../support/postgres.ts'

let metadata: TestMetadata
beforeAll(async () => {
  metadata = await openTestMetadata()
})
afterAll(() => metadata.close())

let lastProject = 0
const newRef = () => `project${++lastProject}`

async function newProject(changes = {}) {
  const { tenant } = await metadata.tenants.put(newRef(), someTenant(changes))
  return tenant
}

async function newMember(email: string | null = null) {
  const { member } = await metadata.members.put(randomUUID(), { email, name: 'Somebody' })
  return member
}

async function newMembership(ref: string, role: 'owner' | 'administrator' | 'developer' | 'guest') {
  const member = await newMember()
  await metadata.members.putMembership(ref, member.userId, role, 'operator')
  return member
}

const rule = (role: string, changes: Partial<RuleInput> = {}): RuleInput => ({
  role,
  expiresAtMs: null,
  networksV4: [],
  networksV6: [],
  branchesOnly: false,
  ...changes,
})

const refusal = (kind: string) => expect.objectContaining({ name: 'StoreRefusal', kind })

describe('migrations', () => {
  test('several processes that start at once make the schema once', async () => {
    const postgres = sharedPostgres()
    await postgres.createDatabase('migrated_at_once')
    const url = postgres.url('migrated_at_once')
    const databases = [1, 2, 3, 4].map(() => openDatabase(url, nullLog))
    await Promise.all(databases.map((database) => database.migrate()))
    await Promise.all(databases.map((database) => database.close()))
    const rows = await postgres.query(
      'select name from latchkey.kysely_migration',
      [],
      'migrated_at_once',
    )
    expect(rows).toEqual([{ name: '001-first-tables' }])
    await postgres.dropDatabase('migrated_at_once')
  })
})

describe('tenants', () => {
  test('a tenant comes back as it was put, with its passwords', async () => {
    const ref = newRef()
    const { tenant, isCreated } = await metadata.tenants.put(
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
    expect(await metadata.tenants.findByRef(ref)).toEqual(tenant)
    expect(await metadata.tenants.findBySniHostname('db.SHOP.example')).toEqual(tenant)
  })

  test('no password lies in the metadata in clear', async () => {
    const tenant = await newProject()
    const rows = await metadata.database.db
      .selectFrom('tenant_roles')
      .select('db_password')
      .where('project_ref', '=', tenant.ref)
      .execute()
    expect(rows[0]?.db_password?.toString('latin1')).not.toContain('pa55')
  })

  test('a password that was moved to another role does not open', async () => {
    const tenant = await newProject()
    await metadata.database.db
      .updateTable('tenant_roles')
      .set({ db_user: 'thief' })
      .where('project_ref', '=', tenant.ref)
      .execute()
    await expect(metadata.tenants.findByRef(tenant.ref)).rejects.toThrow(/belongs elsewhere/)
  })

  test('a second put replaces the roles, keeps what it leaves out, and raises the version', async () => {
    const first = await newProject({ name: 'Kept', useJit: true })
    const { tenant, isCreated } = await metadata.tenants.put(
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
    const first = await newProject()
    expect(await metadata.tenants.remove(first.ref)).toBe(true)
    expect(await metadata.tenants.findByRef(first.ref)).toBeNull()
    expect(await metadata.tenants.remove(first.ref)).toBe(false)
    const { tenant, isCreated } = await metadata.tenants.put(first.ref, someTenant())
    expect(isCreated).toBe(true)
    expect(tenant.version).toBeGreaterThan(first.version)
  })

  test('a server name belongs to one tenant, and a refused put changes nothing', async () => {
    await newProject({ sniHostname: 'taken.example' })
    const other = await newProject()
    const taking = metadata.tenants.put(
      other.ref,
      someTenant({ sniHostname: 'taken.example', dbHost: 'x' }),
    )
    await expect(taking).rejects.toEqual(refusal('conflict'))
    expect(await metadata.tenants.findByRef(other.ref)).toEqual(other)
  })

  test('a role given twice and two managers are refused', async () => {
    const user = { dbUser: 'a' }
    const twice = metadata.tenants.put(newRef(), someTenant({ users: [user, user] }))
    await expect(twice).rejects.toEqual(refusal('invalid'))
    const managers = [
      { dbUser: 'a', isManager: true },
      { dbUser: 'b', isManager: true },
    ]
    const both = metadata.tenants.put(newRef(), someTenant({ users: managers }))
    await expect(both).rejects.toEqual(refusal('invalid'))
  })

  test('the manager can change from one role to another in one put', async () => {
    const tenant = await newProject({
      requireUser: false,
      users: [{ dbUser: 'a', isManager: true }, { dbUser: 'z' }],
    })
    const users = [{ dbUser: 'z' }, { dbUser: 'a' }]
    for (const manager of ['z', 'a']) {
      const changed = users.map((user) => ({ ...user, isManager: user.dbUser === manager }))
      const { tenant: now } = await metadata.tenants.put(tenant.ref, someTenant({ users: changed }))
      expect([...now.roles.values()].find((role) => role.isManager)?.role).toBe(manager)
    }
  })

  test('manager credentials change only where there is a manager and an auth query', async () => {
    const tenant = await newProject({
      requireUser: false,
      users: [{ dbUser: 'manager', isManager: true, dbPassword: new Secret('old') }],
    })
    const changed = await metadata.tenants.updateManagerCredentials(
      tenant.ref,
      'manager2',
      new Secret('new'),
    )
    expect(changed.roles.get('manager2')?.password?.reveal()).toBe('new')
    expect(changed.roles.has('manager')).toBe(false)
    const stored = await newProject()
    const refused = metadata.tenants.updateManagerCredentials(stored.ref, 'm', new Secret('x'))
    await expect(refused).rejects.toEqual(refusal('invalid'))
  })

  test('a ban is set with its reason and end, and lifted', async () => {
    const { ref } = await newProject()
    const untilMs = Date.UTC(2030, 0, 1)
    const banned = await metadata.tenants.setBan(ref, { reason: 'abuse', untilMs })
    expect(banned.ban).toMatchObject({ reason: 'abuse', untilMs })
    expect((await metadata.tenants.setBan(ref, null)).ban).toBeNull()
    const missing = metadata.tenants.setBan('nothing', null)
    await expect(missing).rejects.toEqual(refusal('not_found'))
  })

  test('a branch has the state of its parent, and no state or branches of its own', async () => {
    const parent = await newProject({ useJit: true })
    const branch = await newProject({ parentRef: parent.ref })
    expect(branch.useJit).toBe(true)
    await metadata.tenants.setJit(parent.ref, false)
    const now = await metadata.tenants.findByRef(branch.ref)
    expect(now?.useJit).toBe(false)
    expect(now?.version).toBeGreaterThan(branch.version)
    expect((await metadata.tenants.branchesOf(parent.ref)).map((one) => one.ref)).toEqual([
      branch.ref,
    ])
    await expect(metadata.tenants.setJit(branch.ref, true)).rejects.toEqual(refusal('conflict'))
    const nested = metadata.tenants.put(newRef(), someTenant({ parentRef: branch.ref }))
    await expect(nested).rejects.toEqual(refusal('conflict'))
    await metadata.tenants.remove(parent.ref)
    expect(await metadata.tenants.findByRef(branch.ref)).toBeNull()
  })

  test('details tell whether a password is stored, and pages go on by ref', async () => {
    const tenant = await newProject({ users: [{ dbUser: 'a', dbPassword: null }] })
    const details = await metadata.tenants.findDetails(tenant.ref)
    expect(details?.users[0]).toMatchObject({ dbUser: 'a', hasPassword: false, poolSize: null })
    expect(details?.createdAtMs).toBeGreaterThan(Date.UTC(2020, 0, 1))
    const first = await metadata.tenants.list({ limit: 1 })
    const second = await metadata.tenants.list({ limit: 1, after: first[0]?.tenant.ref ?? '' })
    expect(second[0]?.tenant.ref).not.toBe(first[0]?.tenant.ref)
  })
})

describe('members and memberships', () => {
  test('an e-mail address belongs to one member, in any case of letters', async () => {
    const member = await newMember('Ada@Example.com')
    expect(await metadata.members.findByEmail('ada@example.COM')).toEqual(member)
    await expect(newMember('ADA@example.com')).rejects.toEqual(refusal('conflict'))
  })

  test('a second put changes the member and says so', async () => {
    const { userId } = await newMember()
    const again = await metadata.members.put(userId, { email: null, name: 'New', isOperator: true })
    expect(again).toMatchObject({ isCreated: false, member: { name: 'New', isOperator: true } })
    const kept = await metadata.members.put(userId, { email: null, name: 'Newer' })
    expect(kept.member.isOperator).toBe(true)
  })

  test('the last owner stays, also when two owners leave at the same moment', async () => {
    const { ref } = await newProject()
    const owners = [await newMembership(ref, 'owner'), await newMembership(ref, 'owner')]
    const leaving = owners.map(({ userId }) =>
      metadata.members.removeMembership(ref, userId, { userId, role: 'owner' }),
    )
    const results = await Promise.allSettled(leaving)
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    const left = await metadata.members.membersOf(ref)
    expect(left).toHaveLength(1)
    const userId = left[0]?.member.userId ?? ''
    const demoted = metadata.members.putMembership(ref, userId, 'developer', 'operator')
    await expect(demoted).rejects.toEqual(refusal('conflict'))
  })

  test('administrators neither make, change nor remove owners', async () => {
    const { ref } = await newProject()
    const owners = [await newMembership(ref, 'owner'), await newMembership(ref, 'owner')]
    const { userId } = await newMembership(ref, 'administrator')
    const actor = { userId, role: 'administrator' } as const
    const stranger = await newMember()
    const owner = owners[0]?.userId ?? ''
    const attempts = [
      () => metadata.members.putMembership(ref, stranger.userId, 'owner', actor),
      () => metadata.members.putMembership(ref, owner, 'guest', actor),
      () => metadata.members.removeMembership(ref, owner, actor),
    ]
    for (const attempt of attempts) await expect(attempt()).rejects.toEqual(refusal('forbidden'))
    const made = await metadata.members.putMembership(ref, stranger.userId, 'developer', actor)
    expect(made.isCreated).toBe(true)
  })

  test('nobody raises their own membership, and anyone may leave', async () => {
    const { ref } = await newProject()
    await newMembership(ref, 'owner')
    for (const role of ['guest', 'developer', 'administrator'] as const) {
      const { userId } = await newMember()
      await metadata.members.putMembership(ref, userId, role, 'operator')
      const actor = { userId, role }
      const raised = metadata.members.putMembership(ref, userId, 'owner', actor)
      await expect(raised).rejects.toEqual(refusal('forbidden'))
      expect(await metadata.members.removeMembership(ref, userId, actor)).toBe(true)
    }
  })

  test('who was an owner when the request came and is none now may change nobody', async () => {
    const { ref } = await newProject()
    await newMembership(ref, 'owner')
    const { userId } = await newMembership(ref, 'developer')
    const stranger = await newMember()
    const late = metadata.members.putMembership(ref, stranger.userId, 'guest', {
      userId,
      role: 'owner',
    })
    await expect(late).rejects.toEqual(refusal('forbidden'))
  })

  test('memberships of a branch are refused with the name of its parent', async () => {
    const parent = await newProject()
    const branch = await newProject({ parentRef: parent.ref })
    const { userId } = await newMember()
    const put = metadata.members.putMembership(branch.ref, userId, 'owner', 'operator')
    await expect(put).rejects.toThrow(parent.ref)
  })

  test('a member who goes takes memberships, rules and tokens along', async () => {
    const { ref } = await newProject()
    const { userId } = await newMembership(ref, 'developer')
    await metadata.rules.replaceForMember(ref, userId, [rule('postgres')])
    const { token, record } = await metadata.tokens.create({ userId, name: 'laptop' })
    expect(await metadata.members.remove(userId)).toBe(true)
    expect(await metadata.members.remove(userId)).toBe(false)
    expect(await metadata.members.roleOf(ref, userId)).toBeNull()
    expect(await metadata.rules.find(ref, userId)).toBeNull()
    expect(await metadata.tokens.find(record.id)).toBeNull()
    expect(await metadata.tokens.findBySha256(hashToken(token.reveal()))).toBeNull()
  })

  test('leaving a project takes the rules there along and no others', async () => {
    const [left, stayed] = [await newProject(), await newProject()]
    const { userId } = await newMembership(left.ref, 'developer')
    await metadata.members.putMembership(stayed.ref, userId, 'guest', 'operator')
    for (const { ref } of [left, stayed]) {
      await metadata.rules.replaceForMember(ref, userId, [rule('postgres')])
    }
    await metadata.members.removeMembership(left.ref, userId, 'operator')
    const rules = await metadata.rules.listOfMember(userId)
    expect(rules.map((one) => one.ref)).toEqual([stayed.ref])
    expect(await metadata.members.membershipsOf(userId)).toEqual([
      { ref: stayed.ref, userId, role: 'guest' },
    ])
  })
})

describe('tokens', () => {
  test('a token is found by its hash with its owner, and lies nowhere in clear', async () => {
    const member = await newMember()
    const expiresAtMs = Date.UTC(2031, 5, 1, 12, 30, 15, 250)
    const { token, record } = await metadata.tokens.create({
      userId: member.userId,
      name: 'laptop',
      expiresAtMs,
    })
    expect(token.reveal()).toMatch(/^sbp_[0-9a-f]{40}$/)
    expect(record).toMatchObject({ expiresAtMs, revokedAtMs: null, kind: 'classic' })
    expect(token.reveal().startsWith(record.prefix)).toBe(true)
    const found = await metadata.tokens.findBySha256(hashToken(token.reveal()))
    expect(found).toEqual({ token: record, member })
    expect(await metadata.tokens.findOwner(record.id)).toEqual(found)
    const row = await metadata.database.db
      .selectFrom('access_tokens')
      .selectAll()
      .where('id', '=', record.id)
      .executeTakeFirstOrThrow()
    expect(JSON.stringify(row)).not.toContain(token.reveal().slice(12))
  })

  test('a revoked token is still found, as revoked, and is revoked once', async () => {
    const { userId } = await newMember()
    const stranger = await newMember()
    const { token, record } = await metadata.tokens.create({ userId, name: 'x' })
    expect(await metadata.tokens.revoke(record.id, stranger.userId)).toBe(false)
    expect(await metadata.tokens.revoke(record.id, userId)).toBe(true)
    expect(await metadata.tokens.revoke(record.id, userId)).toBe(false)
    const found = await metadata.tokens.findBySha256(hashToken(token.reveal()))
    expect(found?.token.revokedAtMs).not.toBeNull()
    expect(await metadata.tokens.list(userId)).toEqual([])
  })

  test('last uses are written together, and an older one never replaces a newer', async () => {
    const { userId } = await newMember()
    const { record } = await metadata.tokens.create({ userId, name: 'x' })
    const newer = Date.UTC(2026, 5, 2)
    await metadata.tokens.touchLastUsed(new Map([[record.id, newer]]))
    await metadata.tokens.touchLastUsed(
      new Map([
        [record.id, Date.UTC(2026, 5, 1)],
        [randomUUID(), newer],
      ]),
    )
    expect((await metadata.tokens.find(record.id))?.lastUsedAtMs).toBe(newer)
  })

  test('nobody who is no member gets a token', async () => {
    const creating = metadata.tokens.create({ userId: randomUUID(), name: 'x' })
    await expect(creating).rejects.toEqual(refusal('invalid'))
  })
})

describe('rules', () => {
  test('the set that was put comes back, to the millisecond', async () => {
    const { ref } = await newProject()
    const { userId } = await newMembership(ref, 'developer')
    const given = rule('postgres', {
      expiresAtMs: Date.UTC(2031, 0, 1, 0, 0, 0, 123),
      networksV4: ['10.0.0.0/8', '192.0.2.1/32'],
      networksV6: ['2001:db8::/32'],
      branchesOnly: true,
      reason: 'ticket 7',
    })
    const put = await metadata.rules.replaceForMember(ref, userId, [given, rule('app')], {
      createdBy: userId,
    })
    expect(put.rules.map((one) => one.role)).toEqual(['app', 'postgres'])
    expect(put.rules[1]).toMatchObject({ ...given, ref, userId, createdBy: userId })
    expect(await metadata.rules.find(ref, userId)).toEqual(put)
    expect(await metadata.rules.list(ref)).toEqual([put])
    expect(await metadata.rules.standingOf(ref, userId)).toEqual({
      membership: 'developer',
      rules: expect.arrayContaining([...put.rules]),
    })
  })

  test('a put replaces the whole set and leaves equal rules as they were', async () => {
    const { ref } = await newProject()
    const { userId } = await newMembership(ref, 'guest')
    const put = (rules: RuleInput[]) => metadata.rules.replaceForMember(ref, userId, rules)
    const first = await put([rule('a'), rule('b'), rule('c')])
    const second = await put([rule('b'), rule('c', { branchesOnly: true })])
    expect(second.rules.map((one) => one.role)).toEqual(['b', 'c'])
    expect(second.rules[0]).toEqual(first.rules[1])
    expect(second.rules[1]?.id).toBe(first.rules[2]?.id)
    expect(second.etag).not.toBe(first.etag)
    expect((await put([rule('a'), rule('b'), rule('c')])).etag).toBe(first.etag)
    expect((await put([])).rules).toEqual([])
    expect(await metadata.rules.find(ref, userId)).toBeNull()
    expect(await metadata.rules.standingOf(ref, userId)).toEqual({ membership: 'guest', rules: [] })
  })

  test('of two changes made from the same set the second fails and changes nothing', async () => {
    const { ref } = await newProject()
    const { userId } = await newMembership(ref, 'guest')
    const { etag } = await metadata.rules.replaceForMember(ref, userId, [rule('a')])
    const changes = ['b', 'c'].map((role) =>
      metadata.rules.replaceForMember(ref, userId, [rule(role)], { ifMatch: etag }),
    )
    const results = await Promise.allSettled(changes)
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    const now = await metadata.rules.find(ref, userId)
    expect(now?.rules).toHaveLength(1)
    const stale = metadata.rules.remove(ref, userId, { ifMatch: etag })
    await expect(stale).rejects.toEqual(refusal('precondition_failed'))
    expect(await metadata.rules.remove(ref, userId, { ifMatch: now?.etag })).toBe(true)
    expect(await metadata.rules.remove(ref, userId)).toBe(false)
  })

  test('a rule for someone who is no member of the project is refused', async () => {
    const { ref } = await newProject()
    const { userId } = await newMember()
    const put = metadata.rules.replaceForMember(ref, userId, [rule('a')])
    await expect(put).rejects.toEqual(refusal('invalid'))
    expect(await metadata.rules.standingOf(ref, userId)).toEqual({ membership: null, rules: [] })
  })

  test('a role given twice is refused', async () => {
    const { ref } = await newProject()
    const { userId } = await newMembership(ref, 'guest')
    const put = metadata.rules.replaceForMember(ref, userId, [rule('a'), rule('a')])
    await expect(put).rejects.toEqual(refusal('invalid'))
  })
})

describe('events', () => {
  test('events come back newest first, page by page, each once', async () => {
    const ref = newRef()
    const batch = Array.from({ length: 5 }, (_, index) => ({
      atMs: Date.UTC(2026, 0, 1) + index,
      ref,
      actor: 'operator',
      action: 'state_changed' as const,
      reason: String(index),
    }))
    await metadata.events.append(batch)
    const first = await metadata.events.query({ ref, limit: 3 })
    expect(first.events.map((event) => event.reason)).toEqual(['4', '3', '2'])
    const second = await metadata.events.query({ ref, limit: 3, before: first.next ?? '' })
    expect(second.events.map((event) => event.reason)).toEqual(['1', '0'])
    expect(second.next).toBeNull()
  })

  test('every field of an event is kept, and a NUL from a client does not lose the batch', async () => {
    const ref = newRef()
    const event = {
      atMs: Date.UTC(2026, 0, 1),
      ref,
      actor: randomUUID(),
      action: 'ended' as const,
      subject: randomUUID(),
      role: 'postgres',
      address: '192.0.2.1',
      tokenId: randomUUID(),
      tokenName: 'laptop',
      applicationName: 'psql\0',
      sessionId: 'abc',
      reason: 'rule expired',
      durationMs: 12,
      transactions: 3,
      bytes: 2 ** 40,
      count: 1,
      details: { self: true },
    }
    await metadata.events.append([event])
    const { events } = await metadata.events.query({ ref, concerning: event.subject })
    expect(events).toEqual([
      { ...event, applicationName: 'psql\uFFFD', id: expect.any(Number), process: 'test' },
    ])
    expect((await metadata.events.query({ ref, actor: randomUUID() })).events).toEqual([])
  })

  test('events outlive the project, and old ones are removed by age alone', async () => {
    const { ref } = await newProject()
    const at = (atMs: number) => ({ atMs, ref, actor: null, action: 'login' as const })
    await metadata.events.append([at(Date.UTC(2000, 0, 1)), at(Date.UTC(2026, 0, 1))])
    await metadata.tenants.remove(ref)
    expect((await metadata.events.query({ ref })).events).toHaveLength(2)
    expect(await metadata.events.removeOlderThan(Date.UTC(2000, 0, 2))).toBe(1)
    expect((await metadata.events.query({ ref })).events).toHaveLength(1)
  })
})

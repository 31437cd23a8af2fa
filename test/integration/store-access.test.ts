// Two processes on one metadata database: what is changed through one ends sessions in both.
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { AccessEnder } from '../../pooler/access/access-ender.ts'
import { AccessTokens } from '../../pooler/access/access-tokens.ts'
import { AuditTrail } from '../../pooler/access/audit-trail.ts'
import { Bearers } from '../../pooler/access/bearers.ts'
import { type LiveSession, LiveSessions } from '../../pooler/access/live-sessions.ts'
import { OutsideAccess } from '../../pooler/access/outside-access.ts'
import { TokenAccess } from '../../pooler/access/token-access.ts'
import { ChangeFeed } from '../../pooler/store/change-feed.ts'
import { EndedSessionStore } from '../../pooler/store/ended-sessions.ts'
import { IdentityStore } from '../../pooler/store/identities.ts'
import type { RuleInput } from '../../pooler/store/rules.ts'
import { TenantCache } from '../../pooler/tenant/tenant-cache.ts'
import { nullLog as log } from '../../shared/log.ts'
import type { Secret } from '../../shared/secret.ts'
import { eventually } from '../support/eventually.ts'
import { openTestMetadata, someTenant, type TestMetadata } from '../support/metadata.ts'
import { makeVerdict } from '../support/rules.ts'
import { SteeredClock } from '../support/steered-clock.ts'

let metadata: TestMetadata
const clock = new SteeredClock()
const open: (() => unknown)[] = []
beforeAll(async () => {
  metadata = await openTestMetadata()
})
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  clock.reset()
})
afterAll(() => metadata.close())

async function openProcess() {
  const { url, database, tokens, rules, tenants: tenantStore } = metadata
  const changes = new ChangeFeed({ url, database, clock, log })
  const accessTokens = new AccessTokens({ tokens, changes, clock, log })
  const tenants = new TenantCache({ tenants: tenantStore, changes, clock, log })
  const bearers = new Bearers({
    accessTokens,
    sessionJwts: { read: async () => null },
    provider: null,
    identities: new IdentityStore(database),
    endedSessions: new EndedSessionStore(database),
    changes,
    clock,
  })
  const access = new TokenAccess({
    bearers,
    outside: new OutsideAccess({ ask: () => Promise.reject(new Error('nobody is asked')) }, clock),
    rules,
    tenants,
    changes,
    clock,
    assignableRoles: {
      judge: async (_tenant, role) => makeVerdict(role),
      remembered: () => null,
    },
    canRecord: () => true,
  })
  const sessions = new LiveSessions(clock)
  const ender = new AccessEnder({
    sessions,
    tokenAccess: access,
    changes,
    clock,
    log,
    blindMaxMs: 0,
  })
  open.push(
    () => changes.close(),
    () => accessTokens.close(),
    () => ender.close(),
  )
  await changes.start()
  return { access, sessions, tenants, changes }
}
type Process = Awaited<ReturnType<typeof openProcess>>

const rule = (changes: Partial<RuleInput> = {}): RuleInput => ({
  role: 'app',
  expiresAtMs: null,
  networksV4: [],
  networksV6: [],
  branchesOnly: false,
  ...changes,
})

async function newPerson(ref: string) {
  const userId = randomUUID()
  await metadata.members.put(userId, { email: null, name: 'Ada' })
  await metadata.members.putMembership(ref, userId, 'developer', 'operator')
  await metadata.rules.replaceForMember(ref, userId, [rule()])
  const { token, record } = await metadata.tokens.create({ userId, name: 'laptop' })
  return { userId, token, tokenId: record.id }
}

async function newProject() {
  const ref = `p${randomUUID()}`
  await metadata.tenants.put(ref, someTenant({ useJit: true }))
  return ref
}

/** Logs in; the answer is what the session is told when it ends. */
async function login(process: Process, ref: string, token: Secret<string>) {
  const tenant = await process.tenants.find({ ref })
  if (tenant === null) throw new Error(`no project ${ref}`)
  const told: string[] = []
  const address = '203.0.113.9'
  const session: LiveSession = process.sessions.enter({
    sessionId: randomUUID(),
    tenant,
    role: 'app',
    address,
    applicationName: null,
    end: (reason) => told.push(reason),
  })
  const decision = await process.access.judge({ tenant, role: 'app', token, address, session })
  if (decision.isAllowed) process.sessions.bind(session, decision)
  return { session, told, decision }
}

type Login = Awaited<ReturnType<typeof login>>

test('whatever ends access ends it in every process, and nobody else’s', async () => {
  const processes = [await openProcess(), await openProcess()]
  type Person = Awaited<ReturnType<typeof newPerson>>
  const ways: [(ref: string, person: Person) => Promise<unknown>, string][] = [
    [(ref, { userId }) => metadata.rules.remove(ref, userId), 'rule removed'],
    [
      (ref, { userId }) =>
        metadata.rules.replaceForMember(ref, userId, [rule({ networksV4: ['10.0.0.0/8'] })]),
      'rule no longer allows your network',
    ],
    [(_ref, { tokenId }) => metadata.tokens.revoke(tokenId), 'token revoked'],
    [(_ref, { userId }) => metadata.members.remove(userId), 'member removed'],
    [
      (ref, { userId }) => metadata.members.removeMembership(ref, userId, 'operator'),
      'member removed from the project',
    ],
  ]
  for (const [takeAway, reason] of ways) {
    const ref = await newProject()
    const [person, other] = [await newPerson(ref), await newPerson(ref)]
    const logins: Login[] = []
    for (const process of processes) {
      logins.push(await login(process, ref, person.token))
      logins.push(await login(process, ref, other.token))
    }
    expect(logins.map(({ decision }) => decision.isAllowed)).toEqual([true, true, true, true])
    await takeAway(ref, person)
    await eventually(() => logins[0]?.told.length === 1 && logins[2]?.told.length === 1)
    expect(logins.map(({ told }) => told)).toEqual([[reason], [], [reason], []])
    for (const process of processes) {
      expect((await login(process, ref, person.token)).decision.isAllowed).toBe(false)
    }
  }
})

test('state and deletion of a project end everybody in it and in its branches', async () => {
  const processes = [await openProcess(), await openProcess()]
  const ways: [(ref: string) => Promise<unknown>, string][] = [
    [(ref) => metadata.tenants.setJit(ref, false), 'temporary access disabled'],
    [(ref) => metadata.tenants.remove(ref), 'project deleted'],
  ]
  for (const [takeAway, reason] of ways) {
    const { ref, logins } = await loginsOnBranchToo(processes)
    await takeAway(ref)
    await eventually(() => logins.every(({ told }) => told.length === 1))
    expect(logins.map(({ told }) => told)).toEqual(logins.map(() => [reason]))
  }
})

test('a ban ends everybody in the project and nobody in its branches', async () => {
  const { ref, logins } = await loginsOnBranchToo([await openProcess(), await openProcess()])
  await metadata.tenants.setBan(ref, { reason: 'abuse', untilMs: null })
  const [own, branch] = [
    logins.filter((one) => one.session.ref === ref),
    logins.filter((one) => one.session.ref !== ref),
  ]
  await eventually(() => own.every(({ told }) => told.length === 1))
  expect(own.map(({ told }) => told)).toEqual([['project banned'], ['project banned']])
  expect(branch.map(({ session }) => session.state)).toEqual(['live', 'live'])
})

/** One person, in the project and its branch, through each process. */
async function loginsOnBranchToo(processes: readonly Process[]) {
  const ref = await newProject()
  const branch = `b${randomUUID()}`
  await metadata.tenants.put(branch, someTenant({ parentRef: ref }))
  const person = await newPerson(ref)
  const logins: Login[] = []
  for (const process of processes) {
    for (const place of [ref, branch]) logins.push(await login(process, place, person.token))
  }
  expect(logins.map(({ decision }) => decision.isAllowed)).toEqual(logins.map(() => true))
  return { ref, logins }
}

test('a rule lets in from the moment that it is answered, in every process', async () => {
  const processes = [await openProcess(), await openProcess()]
  const ref = await newProject()
  const person = await newPerson(ref)
  await metadata.rules.remove(ref, person.userId)
  for (const process of processes) {
    const { decision } = await login(process, ref, person.token)
    expect(decision).toMatchObject({ isAllowed: false, reason: 'no_rule' })
  }
  await metadata.rules.replaceForMember(ref, person.userId, [rule()])
  for (const process of processes) {
    await eventually(async () => (await login(process, ref, person.token)).decision.isAllowed)
  }
})

test('a rule that was given for a moment ends by itself', async () => {
  const process = await openProcess()
  const ref = await newProject()
  const person = await newPerson(ref)
  const expiresAtMs = clock.wallMs() + 3_600_000
  await metadata.rules.replaceForMember(ref, person.userId, [rule({ expiresAtMs })])
  const first = await eventually(async () => {
    const one = await login(process, ref, person.token)
    return one.decision.isAllowed && one.decision.endsAtMs === expiresAtMs ? one : false
  })
  expect(first.told).toEqual([])
  clock.moveTo(expiresAtMs)
  await eventually(() => first.told.length === 1)
  expect(first.told).toEqual(['rule expired'])
  expect((await login(process, ref, person.token)).decision).toMatchObject({
    reason: 'rule_expired',
  })
})

test('events recorded in one process are read in the project’s record', async () => {
  const trail = new AuditTrail({ events: metadata.events, clock, log, retentionMs: 0 })
  const ref = await newProject()
  const event = { atMs: Date.now(), ref, actor: 'operator', action: 'login' as const }
  trail.record(event)
  await eventually(async () => (await metadata.events.query({ ref })).events.length === 1)
  await trail.close()
})

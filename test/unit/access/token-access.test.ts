import { expect, test } from 'vitest'
import { tokenHashOf } from '../../../pooler/access/access-tokens.ts'
import { AccessWorld, token } from '../../support/access-world.ts'
import { eventually } from '../../support/eventually.ts'
import { makeRule } from '../../support/rules.ts'

test('a member with a rule is let in as the person they are', async () => {
  const world = new AccessWorld()
  expect(await world.judge()).toMatchObject({
    isAllowed: true,
    member: { userId: 'ada', email: 'ada@example.com', name: 'Ada' },
    token: { id: 'token of ada', name: 'laptop' },
    bearer: { kind: 'personal', hash: tokenHashOf(token) },
    endsAtMs: null,
    rule: { role: 'postgres' },
  })
})

test('a refusal names the person where the token is somebody’s', async () => {
  const world = new AccessWorld()
  expect(await world.judge({ role: 'app' })).toEqual({
    isAllowed: false,
    reason: 'role_not_granted',
    person: {
      member: { userId: 'ada', email: 'ada@example.com', name: 'Ada' },
      token: { id: 'token of ada', name: 'laptop' },
    },
  })
  world.owner = null
  world.changes.announce({ kind: 'token', id: 'token of ada' })
  expect(await world.judge()).toEqual({ isAllowed: false, reason: 'token_unknown', person: null })
})

test("a branch is judged by its parent's rules", async () => {
  const world = new AccessWorld()
  world.addProject('shop-preview', { parentRef: 'shop' })
  expect(await world.judge({ ref: 'shop-preview' })).toMatchObject({ isAllowed: true })
})

test('the state that counts is the one of now, not of when the client connected', async () => {
  const world = new AccessWorld()
  const connectedTo = world.project
  world.addProject('shop', { useJit: false })
  expect(await world.judge({ tenant: connectedTo })).toMatchObject({ reason: 'access_disabled' })
  world.projects.clear()
  expect(await world.judge({ tenant: connectedTo })).toMatchObject({ reason: 'access_disabled' })
})

test('a role that may no longer be given away is refused at login', async () => {
  const world = new AccessWorld()
  world.notAssignable.add('postgres')
  expect(await world.judge()).toMatchObject({ isAllowed: false, reason: 'role_not_assignable' })
})

test('a rule opens no other role that has come to bear the name', async () => {
  const world = new AccessWorld()
  world.rules = [makeRule({ roleIdentity: 'c1/10' })]
  world.roleIdentities.set('postgres', 'c1/10')
  expect(await world.judge()).toMatchObject({ isAllowed: true })
  world.roleIdentities.set('postgres', 'c1/11')
  expect(await world.judge()).toMatchObject({ isAllowed: false, reason: 'role_made_anew' })
})

test('the database is not asked about the role of somebody who is refused anyway', async () => {
  const world = new AccessWorld()
  world.rules = []
  await world.judge()
  expect(world.rolesJudged).toBe(0)
})

test('what cannot be asked is no refusal', async () => {
  const faults: ((world: AccessWorld) => void)[] = [
    (world) => {
      world.isDown = true
    },
    (world) => {
      world.changes.isBlind = true
    },
    (world) => {
      world.canRecord = false
    },
    (world) => {
      world.isProjectDown = true
    },
  ]
  for (const fault of faults) {
    const world = new AccessWorld()
    fault(world)
    await expect(world.judge()).rejects.toMatchObject({ code: 'EAUTHPROVIDER' })
  }
})

test('facts are remembered for less than 5 s and not past a change', async () => {
  const world = new AccessWorld()
  await world.judge()
  await world.judge()
  expect(world.standingsAsked).toBe(1)
  world.clock.advance(5000)
  await world.judge()
  expect(world.standingsAsked).toBe(2)
  for (const kind of ['rule', 'membership'] as const) {
    world.changes.announce({ kind, ref: 'shop', userId: 'bob' })
    world.changes.announce({ kind, ref: 'school', userId: 'ada' })
  }
  await world.judge()
  expect(world.standingsAsked).toBe(2)
  world.rules = []
  world.changes.announce({ kind: 'rule', ref: 'shop', userId: 'ada' })
  expect(await world.judge()).toMatchObject({ reason: 'no_rule' })
})

test('an end is exact although facts are remembered', async () => {
  const world = new AccessWorld()
  const endsAtMs = world.clock.wallMs() + 1000
  world.giveRule({ expiresAtMs: endsAtMs })
  expect(await world.judge()).toMatchObject({ isAllowed: true, endsAtMs })
  world.clock.advance(999)
  expect(await world.judge()).toMatchObject({ isAllowed: true })
  world.clock.advance(1)
  expect(await world.judge()).toMatchObject({ reason: 'rule_expired' })
  expect(world.standingsAsked).toBe(1)
})

test('a login whose rule goes while it is judged is judged again', async () => {
  const world = new AccessWorld()
  const session = world.enter('one')
  const held = world.holdStandings()
  const judging = world.judge({ session })
  await eventually(() => held.waiting === 1)
  world.rules = []
  world.changes.announce({ kind: 'rule', ref: 'shop', userId: 'ada' })
  held.release()
  expect(await judging).toMatchObject({ isAllowed: false, reason: 'no_rule' })
})

test('a dead token costs no look-up of rules', async () => {
  const world = new AccessWorld()
  world.changeToken({ revokedAtMs: 1 })
  expect(await world.judge()).toMatchObject({ reason: 'token_revoked' })
  expect(world.standingsAsked).toBe(0)
})

import { expect, test } from 'vitest'
import { hashToken } from '../../pooler/store/tokens.ts'
import { refusal, StoreSetup, someRule } from '../support/store-setup.ts'

const setup = new StoreSetup()

test('an e-mail address belongs to one member, in any case of letters', async () => {
  const member = await setup.newMember('Ada@Example.com')
  expect(await setup.metadata.members.findByEmail('ada@example.COM')).toEqual(member)
  await expect(setup.newMember('ADA@example.com')).rejects.toEqual(refusal('conflict'))
})

test('a second put changes the member and says so', async () => {
  const { userId } = await setup.newMember()
  const again = await setup.metadata.members.put(userId, {
    email: null,
    name: 'New',
    isOperator: true,
  })
  expect(again).toMatchObject({ isCreated: false, member: { name: 'New', isOperator: true } })
  const kept = await setup.metadata.members.put(userId, { email: null, name: 'Newer' })
  expect(kept.member.isOperator).toBe(true)
})

test('the last owner stays, also when two owners leave at the same moment', async () => {
  const { ref } = await setup.newProject()
  const owners = [await setup.newMembership(ref, 'owner'), await setup.newMembership(ref, 'owner')]
  const leaving = owners.map(({ userId }) =>
    setup.metadata.members.removeMembership(ref, userId, { userId, role: 'owner' }),
  )
  const results = await Promise.allSettled(leaving)
  expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
  const left = await setup.metadata.members.membersOf(ref)
  expect(left).toHaveLength(1)
  const userId = left[0]?.member.userId ?? ''
  const demoted = setup.metadata.members.putMembership(ref, userId, 'developer', 'operator')
  await expect(demoted).rejects.toEqual(refusal('conflict'))
})

test('administrators neither make, change nor remove owners', async () => {
  const { ref } = await setup.newProject()
  const owners = [await setup.newMembership(ref, 'owner'), await setup.newMembership(ref, 'owner')]
  const { userId } = await setup.newMembership(ref, 'administrator')
  const actor = { userId, role: 'administrator' } as const
  const stranger = await setup.newMember()
  const owner = owners[0]?.userId ?? ''
  const attempts = [
    () => setup.metadata.members.putMembership(ref, stranger.userId, 'owner', actor),
    () => setup.metadata.members.putMembership(ref, owner, 'guest', actor),
    () => setup.metadata.members.removeMembership(ref, owner, actor),
  ]
  for (const attempt of attempts) await expect(attempt()).rejects.toEqual(refusal('forbidden'))
  const made = await setup.metadata.members.putMembership(ref, stranger.userId, 'developer', actor)
  expect(made.isCreated).toBe(true)
})

test('nobody raises their own membership, and anyone may leave', async () => {
  const { ref } = await setup.newProject()
  await setup.newMembership(ref, 'owner')
  for (const role of ['guest', 'developer', 'administrator'] as const) {
    const { userId } = await setup.newMember()
    await setup.metadata.members.putMembership(ref, userId, role, 'operator')
    const actor = { userId, role }
    const raised = setup.metadata.members.putMembership(ref, userId, 'owner', actor)
    await expect(raised).rejects.toEqual(refusal('forbidden'))
    expect(await setup.metadata.members.removeMembership(ref, userId, actor)).toBe(true)
  }
})

test('who was an owner when the request came and is none now may change nobody', async () => {
  const { ref } = await setup.newProject()
  await setup.newMembership(ref, 'owner')
  const { userId } = await setup.newMembership(ref, 'developer')
  const stranger = await setup.newMember()
  const late = setup.metadata.members.putMembership(ref, stranger.userId, 'guest', {
    userId,
    role: 'owner',
  })
  await expect(late).rejects.toEqual(refusal('forbidden'))
})

test('memberships of a branch are refused with the name of its parent', async () => {
  const parent = await setup.newProject()
  const branch = await setup.newProject({ parentRef: parent.ref })
  const { userId } = await setup.newMember()
  const put = setup.metadata.members.putMembership(branch.ref, userId, 'owner', 'operator')
  await expect(put).rejects.toThrow(parent.ref)
})

test('a member who goes takes memberships, rules and tokens along', async () => {
  const { ref } = await setup.newProject()
  const { userId } = await setup.newMembership(ref, 'developer')
  await setup.metadata.rules.replaceForMember(ref, userId, [someRule('postgres')])
  const { token, record } = await setup.metadata.tokens.create({ userId, name: 'laptop' })
  expect(await setup.metadata.members.remove(userId)).toBe(true)
  expect(await setup.metadata.members.remove(userId)).toBe(false)
  expect(await setup.metadata.members.roleOf(ref, userId)).toBeNull()
  expect(await setup.metadata.rules.find(ref, userId)).toBeNull()
  expect(await setup.metadata.tokens.find(record.id)).toBeNull()
  expect(await setup.metadata.tokens.findBySha256(hashToken(token.reveal()))).toBeNull()
})

test('leaving a project takes the rules there along and no others', async () => {
  const [left, stayed] = [await setup.newProject(), await setup.newProject()]
  const { userId } = await setup.newMembership(left.ref, 'developer')
  await setup.metadata.members.putMembership(stayed.ref, userId, 'guest', 'operator')
  for (const { ref } of [left, stayed]) {
    await setup.metadata.rules.replaceForMember(ref, userId, [someRule('postgres')])
  }
  await setup.metadata.members.removeMembership(left.ref, userId, 'operator')
  const rules = await setup.metadata.rules.listOfMember(userId)
  expect(rules.map((one) => one.ref)).toEqual([stayed.ref])
  expect(await setup.metadata.members.membershipsOf(userId)).toEqual([
    { ref: stayed.ref, userId, role: 'guest' },
  ])
})

import { expect, test } from 'vitest'
import type { RuleInput } from '../../pooler/store/rules.ts'
import { refusal, StoreSetup, someRule } from '../support/store-setup.ts'

const setup = new StoreSetup()

test('the set that was put comes back, to the millisecond', async () => {
  const { ref } = await setup.newProject()
  const { userId } = await setup.newMembership(ref, 'developer')
  const given = someRule('postgres', {
    expiresAtMs: Date.UTC(2031, 0, 1, 0, 0, 0, 123),
    networksV4: ['10.0.0.0/8', '192.0.2.1/32'],
    networksV6: ['2001:db8::/32'],
    branchesOnly: true,
    reason: 'ticket 7',
  })
  const put = await setup.metadata.rules.replaceForMember(ref, userId, [given, someRule('app')], {
    createdBy: userId,
  })
  expect(put.rules.map((one) => one.role)).toEqual(['app', 'postgres'])
  expect(put.rules[1]).toMatchObject({ ...given, ref, userId, createdBy: userId })
  expect(await setup.metadata.rules.find(ref, userId)).toEqual(put)
  expect(await setup.metadata.rules.list(ref)).toEqual([put])
  expect(await setup.metadata.rules.standingOf(ref, userId)).toEqual({
    membership: 'developer',
    rules: expect.arrayContaining([...put.rules]),
  })
})

test('a put replaces the whole set and leaves equal rules as they were', async () => {
  const { ref } = await setup.newProject()
  const { userId } = await setup.newMembership(ref, 'guest')
  const put = (rules: RuleInput[]) => setup.metadata.rules.replaceForMember(ref, userId, rules)
  const first = await put([someRule('a'), someRule('b'), someRule('c')])
  const second = await put([someRule('b'), someRule('c', { branchesOnly: true })])
  expect(second.rules.map((one) => one.role)).toEqual(['b', 'c'])
  expect(second.rules[0]).toEqual(first.rules[1])
  expect(second.rules[1]?.id).toBe(first.rules[2]?.id)
  expect(second.etag).not.toBe(first.etag)
  expect((await put([someRule('a'), someRule('b'), someRule('c')])).etag).toBe(first.etag)
  expect((await put([])).rules).toEqual([])
  expect(await setup.metadata.rules.find(ref, userId)).toBeNull()
  expect(await setup.metadata.rules.standingOf(ref, userId)).toEqual({
    membership: 'guest',
    rules: [],
  })
})

test('of two changes made from the same set the second fails and changes nothing', async () => {
  const { ref } = await setup.newProject()
  const { userId } = await setup.newMembership(ref, 'guest')
  const { etag } = await setup.metadata.rules.replaceForMember(ref, userId, [someRule('a')])
  const changes = ['b', 'c'].map((role) =>
    setup.metadata.rules.replaceForMember(ref, userId, [someRule(role)], { ifMatch: etag }),
  )
  const results = await Promise.allSettled(changes)
  expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
  const now = await setup.metadata.rules.find(ref, userId)
  expect(now?.rules).toHaveLength(1)
  const stale = setup.metadata.rules.remove(ref, userId, { ifMatch: etag })
  await expect(stale).rejects.toEqual(refusal('precondition_failed'))
  expect(await setup.metadata.rules.remove(ref, userId, { ifMatch: now?.etag })).toBe(true)
  expect(await setup.metadata.rules.remove(ref, userId)).toBe(false)
})

test('a rule for someone who is no member of the project is refused', async () => {
  const { ref } = await setup.newProject()
  const { userId } = await setup.newMember()
  const put = setup.metadata.rules.replaceForMember(ref, userId, [someRule('a')])
  await expect(put).rejects.toEqual(refusal('invalid'))
  expect(await setup.metadata.rules.standingOf(ref, userId)).toEqual({
    membership: null,
    rules: [],
  })
})

test('a role given twice is refused', async () => {
  const { ref } = await setup.newProject()
  const { userId } = await setup.newMembership(ref, 'guest')
  const put = setup.metadata.rules.replaceForMember(ref, userId, [someRule('a'), someRule('a')])
  await expect(put).rejects.toEqual(refusal('invalid'))
})

test('whoever may give no rules by the time of the change changes none', async () => {
  const { ref } = await setup.newProject()
  const { members, rules, tokens } = setup.metadata
  const { userId } = await setup.newMembership(ref, 'guest')
  await setup.newMembership(ref, 'owner')
  const admin = await setup.newMembership(ref, 'administrator')
  const { record } = await tokens.create({ userId: admin.userId, name: 'laptop' })
  const put = (tokenId: string | null) =>
    rules.replaceForMember(ref, userId, [someRule('a')], {
      acting: { userId: admin.userId, tokenId },
    })
  expect((await put(record.id)).rules[0]).toMatchObject({ createdBy: admin.userId })
  await tokens.revoke(record.id)
  await expect(put(record.id)).rejects.toEqual(refusal('forbidden'))
  await members.putMembership(ref, admin.userId, 'developer', 'operator')
  await expect(put(null)).rejects.toEqual(refusal('forbidden'))
  await members.removeMembership(ref, admin.userId, 'operator')
  await expect(put(null)).rejects.toEqual(refusal('forbidden'))
})

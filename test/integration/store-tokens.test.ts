import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { hashToken } from '../../pooler/store/tokens.ts'
import { refusal, StoreSetup } from '../support/store-setup.ts'

const setup = new StoreSetup()

test('a token is found by its hash with its owner, and lies nowhere in clear', async () => {
  const member = await setup.newMember()
  const expiresAtMs = Date.UTC(2031, 5, 1, 12, 30, 15, 250)
  const { token, record } = await setup.metadata.tokens.create({
    userId: member.userId,
    name: 'laptop',
    expiresAtMs,
  })
  expect(token.reveal()).toMatch(/^sbp_[0-9a-f]{40}$/)
  expect(record).toMatchObject({ expiresAtMs, revokedAtMs: null, scope: null })
  expect(token.reveal().startsWith(record.prefix)).toBe(true)
  const found = await setup.metadata.tokens.findBySha256(hashToken(token.reveal()))
  expect(found).toEqual({ token: record, member })
  expect(await setup.metadata.tokens.findOwner(record.id)).toEqual(found)
  const row = await setup.metadata.database.db
    .selectFrom('access_tokens')
    .selectAll()
    .where('id', '=', record.id)
    .executeTakeFirstOrThrow()
  expect(JSON.stringify(row)).not.toContain(token.reveal().slice(12))
})

test('a revoked token is still found, as revoked, and is revoked once', async () => {
  const { userId } = await setup.newMember()
  const stranger = await setup.newMember()
  const { token, record } = await setup.metadata.tokens.create({ userId, name: 'x' })
  expect(await setup.metadata.tokens.revoke(record.id, stranger.userId)).toBe(false)
  expect(await setup.metadata.tokens.revoke(record.id, userId)).toBe(true)
  expect(await setup.metadata.tokens.revoke(record.id, userId)).toBe(false)
  const found = await setup.metadata.tokens.findBySha256(hashToken(token.reveal()))
  expect(found?.token.revokedAtMs).not.toBeNull()
  expect(await setup.metadata.tokens.list(userId)).toEqual([])
})

test('last uses are written together, and an older one never replaces a newer', async () => {
  const { userId } = await setup.newMember()
  const { record } = await setup.metadata.tokens.create({ userId, name: 'x' })
  const newer = Date.UTC(2026, 5, 2)
  await setup.metadata.tokens.touchLastUsed(new Map([[record.id, newer]]))
  await setup.metadata.tokens.touchLastUsed(
    new Map([
      [record.id, Date.UTC(2026, 5, 1)],
      [randomUUID(), newer],
    ]),
  )
  expect((await setup.metadata.tokens.find(record.id))?.lastUsedAtMs).toBe(newer)
})

test('nobody who is no member gets a token', async () => {
  const creating = setup.metadata.tokens.create({ userId: randomUUID(), name: 'x' })
  await expect(creating).rejects.toEqual(refusal('invalid'))
})

test('a token that is revoked makes no other', async () => {
  const { userId } = await setup.newMember()
  const { tokens } = setup.metadata
  const { record } = await tokens.create({ userId, name: 'x' })
  const { record: second } = await tokens.create({ userId, name: 'y' }, record.id)
  await tokens.revoke(record.id)
  const creating = tokens.create({ userId, name: 'z' }, record.id)
  await expect(creating).rejects.toEqual(refusal('forbidden'))
  expect(await tokens.list(userId)).toEqual([second])
})

import { expect, test } from 'vitest'
import { PoolGroups } from '../../../pooler/pool/pool-groups.ts'
import type { PoolKey } from '../../../pooler/pool/pool-key.ts'
import type { PoolEntry } from '../../../pooler/pool/pool-registry.ts'
import { makePool } from '../../support/make-pool.ts'

const key = (changes: Partial<PoolKey> = {}): PoolKey => ({
  tenantRef: 'ref',
  role: 'app',
  database: 'db',
  mode: 'direct',
  ...changes,
})
const databases = (groups: PoolGroups) =>
  [...groups.of('ref')].map(({ key: { database } }) => database)

test('pools are one where only a token tells them apart', () => {
  const groups = new PoolGroups()
  const group = groups.take(key())
  expect(groups.take(key({ tokenName: 'a token' }))).toBe(group)
  for (const other of [{ role: 'r' }, { database: 'd' }, { mode: 'session' }] as const)
    expect(groups.take(key(other))).not.toBe(group)
  expect([...groups.all()]).toHaveLength(4)
})

test('what nobody has used for long is forgotten, what has a pool is not', () => {
  const groups = new PoolGroups()
  const tick = (nowMs: number, isUsedElsewhere = false) =>
    groups.onTick(nowMs, 100, () => isUsedElsewhere)
  groups.take(key({ database: 'left' })).usedMs = 100
  groups.take(key({ database: 'left later' })).usedMs = 200
  const entry: PoolEntry = { key: key(), pool: makePool(), clients: new Set<never>() }
  groups.take(key({ database: 'there' })).entries.add(entry)
  tick(200)
  expect(databases(groups)).toEqual(['left', 'left later', 'there'])
  tick(250)
  expect(databases(groups)).toEqual(['left later', 'there'])
  // What is in use in another worker is not unused here.
  tick(1000, true)
  tick(1100)
  expect(databases(groups)).toEqual(['left later', 'there'])
  tick(1101)
  expect(databases(groups)).toEqual(['there'])
})

test('of a project’s empty groups only so many are kept, those that were used last', () => {
  const groups = new PoolGroups()
  for (let at = 0; at < 150; at++) groups.take(key({ database: `${at}` })).usedMs = at
  expect(databases(groups)).toHaveLength(100)
  expect(databases(groups)[0]).toBe('50')
  groups.forgetTenant('ref')
  expect(databases(groups)).toEqual([])
})

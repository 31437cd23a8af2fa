import { expect, test } from 'vitest'
import type { Tenant } from '../../../pooler/tenant/tenant.ts'
import { TenantCache, type TenantChange } from '../../../pooler/tenant/tenant-cache.ts'
import { nullLog } from '../../../shared/log.ts'
import { eventually } from '../../support/eventually.ts'
import { HandDrivenChanges } from '../../support/hand-driven-changes.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { tenantNamed } from '../../support/some-tenant.ts'

/** Metadata that count what they are asked and can go away. */
class Metadata {
  readonly rows = new Map<string, Tenant>()
  readonly broken = new Set<string>()
  isDown = false
  asked: string[] = []
  /** What is asked from here on is answered when this is fulfilled. */
  gate: Promise<void> = Promise.resolve()

  put(ref: string, changes: Partial<Tenant> = {}): Tenant {
    const tenant = tenantNamed(ref, changes)
    this.rows.set(ref, tenant)
    return tenant
  }

  findByRefs = async (refs: readonly string[]): Promise<Tenant[]> => {
    this.asked.push(...refs)
    const found = refs.flatMap((ref) => this.rows.get(ref) ?? [])
    await this.gate
    if (this.isDown) throw new Error('metadata are away')
    if (refs.some((ref) => this.broken.has(ref))) throw new Error('a seal is broken')
    return found
  }

  findBySniHostname = async (name: string): Promise<Tenant | null> => {
    this.asked.push(name)
    await Promise.resolve()
    if (this.isDown) throw new Error('metadata are away')
    return [...this.rows.values()].find((tenant) => tenant.sniHostname === name) ?? null
  }
}

function setup(entriesMax = 100) {
  const metadata = new Metadata()
  const changes = new HandDrivenChanges()
  const clock = new ManualClock()
  const cache = new TenantCache({ tenants: metadata, changes, clock, log: nullLog, entriesMax })
  const told: TenantChange[] = []
  cache.onChange((change) => told.push(change))
  return { metadata, changes, clock, cache, told }
}

test('a project is looked up once, by ref and by server name alike', async () => {
  const { metadata, cache } = setup()
  const shop = metadata.put('shop', { sniHostname: 'db.shop.example' })
  expect(await Promise.all([cache.find({ ref: 'shop' }), cache.find({ ref: 'shop' })])).toEqual([
    shop,
    shop,
  ])
  expect(await cache.find({ sniHostname: 'DB.shop.example' })).toBe(shop)
  expect(metadata.asked).toEqual(['shop'])
})

test('a name that nobody has is remembered briefly, and no longer once a project is announced', async () => {
  const { metadata, changes, clock, cache } = setup()
  for (let time = 0; time < 3; time++) expect(await cache.find({ ref: 'shop' })).toBeNull()
  expect(metadata.asked).toHaveLength(1)
  clock.advance(5000)
  expect(await cache.find({ ref: 'shop' })).toBeNull()
  expect(metadata.asked).toHaveLength(2)
  const shop = metadata.put('shop', { sniHostname: 'new.example' })
  expect(await cache.find({ sniHostname: 'old.example' })).toBeNull()
  changes.announce({ kind: 'tenant', ref: 'shop' })
  expect(await cache.find({ ref: 'shop' })).toBe(shop)
})

test('a change is read again, told with before and after, and served from then on', async () => {
  const { metadata, changes, cache, told } = setup()
  const before = metadata.put('shop', { sniHostname: 'old.example' })
  await cache.find({ sniHostname: 'old.example' })
  const after = metadata.put('shop', { sniHostname: 'new.example', version: 2 })
  changes.announce({ kind: 'tenant', ref: 'shop' })
  expect(await cache.find({ ref: 'shop' })).toBe(after)
  await eventually(() => told.length > 0)
  expect(told).toEqual([{ ref: 'shop', before, after }])
  expect(await cache.find({ sniHostname: 'old.example' })).toBeNull()
  expect(await cache.find({ sniHostname: 'new.example' })).toBe(after)
})

test('a project that is gone is told so and found no more', async () => {
  const { metadata, changes, cache, told } = setup()
  const before = metadata.put('shop')
  await cache.find({ ref: 'shop' })
  metadata.rows.delete('shop')
  changes.announce({ kind: 'tenant', ref: 'shop' })
  expect(await cache.find({ ref: 'shop' })).toBeNull()
  await eventually(() => told.length > 0)
  expect(told).toEqual([{ ref: 'shop', before, after: null }])
})

test('a change of a project that is not known here is told too', async () => {
  const { metadata, changes, told } = setup()
  const after = metadata.put('shop')
  changes.announce({ kind: 'tenant', ref: 'shop' })
  await eventually(() => told.length > 0)
  expect(told).toEqual([{ ref: 'shop', before: null, after }])
})

test('while the metadata are away known projects go on, and unknown ones cannot be decided', async () => {
  const { metadata, changes, clock, cache, told } = setup()
  const shop = metadata.put('shop')
  await cache.find({ ref: 'shop' })
  metadata.isDown = true
  changes.announce({ kind: 'reread-all' })
  expect(await cache.find({ ref: 'shop' })).toBe(shop)
  await expect(cache.findFresh('shop')).rejects.toMatchObject({ code: 'EAUTHPROVIDER' })
  await expect(cache.find({ ref: 'other' })).rejects.toMatchObject({ code: 'EAUTHPROVIDER' })
  expect(told).toEqual([])
  metadata.isDown = false
  const changed = metadata.put('shop', { version: 2 })
  await eventually(() => {
    clock.advance(250)
    return told.length > 0
  })
  expect(told).toEqual([{ ref: 'shop', before: shop, after: changed }])
  expect(await cache.find({ ref: 'shop' })).toBe(changed)
})

test('a project that is looked up while others change is remembered all the same', async () => {
  const { metadata, changes, cache } = setup()
  const shop = metadata.put('shop')
  const [one, other] = [cache.find({ ref: 'shop' }), cache.find({ ref: 'shop' })]
  changes.announce({ kind: 'tenant', ref: 'farm' })
  expect(await Promise.all([one, other])).toEqual([shop, shop])
  expect(cache.peek('shop')).toBe(shop)
})

test('an answer from before a change is neither given nor remembered after it', async () => {
  const { metadata, changes, cache, told } = setup()
  metadata.put('shop')
  const early = cache.find({ ref: 'shop' })
  const after = metadata.put('shop', { version: 2 })
  changes.announce({ kind: 'tenant', ref: 'shop' })
  expect(await early).toBe(after)
  expect(await cache.find({ ref: 'shop' })).toBe(after)
  await eventually(() => told.length > 0)
})

test('what a look-up finds before the change is read again is told as it is found', async () => {
  const { metadata, changes, cache, told } = setup()
  const first = metadata.put('shop')
  await cache.find({ ref: 'shop' })
  const between = metadata.put('shop', { version: 2 })
  const answered = Promise.withResolvers<void>()
  metadata.gate = answered.promise
  changes.announce({ kind: 'tenant', ref: 'shop' })
  metadata.gate = Promise.resolve()
  expect(await cache.find({ ref: 'shop' })).toBe(between)
  expect(told).toEqual([{ ref: 'shop', before: first, after: between }])
  const last = metadata.put('shop', { version: 3 })
  changes.announce({ kind: 'tenant', ref: 'shop' })
  answered.resolve()
  await eventually(() => told.length > 1)
  expect(told.slice(1)).toEqual([{ ref: 'shop', before: between, after: last }])
})

test('one project that cannot be read does not hide the others', async () => {
  const { metadata, changes, clock, cache, told } = setup()
  for (const ref of ['broken', 'shop', 'school']) {
    metadata.put(ref)
    await cache.find({ ref })
  }
  metadata.broken.add('broken')
  changes.announce({ kind: 'reread-all' })
  await eventually(() => {
    clock.advance(250)
    return told.length === 2
  })
  expect(told.map(({ ref }) => ref).sort()).toEqual(['school', 'shop'])
})

test('as many projects are kept as the cache has room for', async () => {
  const { metadata, cache } = setup(2)
  for (const ref of ['a', 'b', 'c']) {
    metadata.put(ref)
    await cache.find({ ref })
  }
  expect([cache.peek('a'), cache.peek('b')?.ref, cache.peek('c')?.ref]).toEqual([null, 'b', 'c'])
})

test('a project that is held stays known, and its changes are told as such', async () => {
  const { metadata, changes, cache, told } = setup(2)
  for (const ref of ['a', 'b', 'c', 'd']) metadata.put(ref)
  const a = await cache.find({ ref: 'a' })
  cache.hold('a')
  for (const ref of ['b', 'c', 'd']) await cache.find({ ref })
  expect(cache.peek('a')).toBe(a)
  expect([...cache.entries()].map(({ ref }) => ref).sort()).toEqual(['a', 'c', 'd'])
  const changed = metadata.put('a', { version: 2 })
  changes.announce({ kind: 'reread-all' })
  await eventually(() => told.length === 3)
  expect(told[0]).toEqual({ ref: 'a', before: a, after: changed })
  expect(cache.peek('a')).toBe(changed)
  cache.release('a')
  for (const ref of ['c', 'd']) await cache.find({ ref })
  expect(cache.peek('a')).toBeNull()
})

test('a project that goes while it is held is not known any more', async () => {
  const { metadata, changes, cache, told } = setup()
  metadata.put('a')
  await cache.find({ ref: 'a' })
  cache.hold('a')
  metadata.rows.delete('a')
  changes.announce({ kind: 'tenant', ref: 'a' })
  await eventually(() => told.length === 1)
  expect(cache.peek('a')).toBeNull()
  cache.release('a')
  const again = metadata.put('a')
  changes.announce({ kind: 'tenant', ref: 'a' })
  expect(await cache.find({ ref: 'a' })).toBe(again)
})

const stranger = '192.0.2.1'

test('made-up names cost one source a hundred look-ups in ten seconds, and nobody else any', async () => {
  const { metadata, clock, cache } = setup()
  const shop = metadata.put('shop')
  const bank = metadata.put('bank')
  await cache.find({ ref: 'shop' }, stranger)
  const guess = (n: number) => cache.find({ ref: `guess ${n}` }, stranger)
  const refused: string[] = []
  for (let n = 0; n < 500; n++) await guess(n).catch(({ code }) => refused.push(code))
  expect(refused).toEqual(Array.from({ length: 400 }, () => 'EUNKNOWNPROJECTS'))
  expect(metadata.asked).toHaveLength(101)
  // What is in memory, and what others ask.
  expect(await cache.find({ ref: 'shop' }, stranger)).toBe(shop)
  expect(await guess(5)).toBeNull()
  await expect(cache.find({ ref: 'bank' }, stranger)).rejects.toThrow('for 10 s')
  expect(await cache.find({ ref: 'bank' }, '192.0.2.2')).toBe(bank)
  expect(metadata.asked).toHaveLength(102)
  clock.advance(10_000)
  expect(await guess(1000)).toBeNull()
})

test('names that are found, and names that could not be looked up, are no guesses', async () => {
  const { metadata, cache } = setup(10)
  for (let n = 0; n < 300; n++) metadata.put(`shop ${n}`)
  for (let n = 0; n < 300; n++) await cache.find({ ref: `shop ${n}` }, stranger)
  // Nor are they when all come at once.
  for (let n = 0; n < 300; n++) metadata.put(`bank ${n}`)
  await Promise.all(
    Array.from({ length: 300 }, (_, n) => cache.find({ ref: `bank ${n}` }, stranger)),
  )
  metadata.isDown = true
  for (let n = 0; n < 300; n++) {
    await expect(cache.find({ ref: `other ${n}` }, stranger)).rejects.toMatchObject({
      code: 'EAUTHPROVIDER',
    })
  }
  metadata.isDown = false
  expect(await cache.find({ ref: 'nobody' }, stranger)).toBeNull()
})

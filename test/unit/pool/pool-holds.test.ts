import { expect, test } from 'vitest'
import { PoolHolds } from '../../../pooler/pool/pool-holds.ts'
import {
  everything,
  isMeant,
  type PoolTarget,
  targetText,
} from '../../../pooler/pool/pool-target.ts'

const shop: PoolTarget = { tenantRef: 'shop', role: null, database: null }
const app: PoolTarget = { tenantRef: 'shop', role: 'app', database: null }
const appInMain: PoolTarget = { tenantRef: 'shop', role: 'app', database: 'main' }
const key = { tenantRef: 'shop', role: 'app', database: 'main' }

test('a target means what it does not leave out', () => {
  for (const target of [everything, shop, app, appInMain]) expect(isMeant(target, key)).toBe(true)
  expect(isMeant(app, { ...key, role: 'other' })).toBe(false)
  expect(isMeant(shop, { ...key, tenantRef: 'bank' })).toBe(false)
  expect([everything, shop, app, appInMain].map(targetText)).toEqual([
    'everything',
    'shop',
    'app.shop',
    'app.shop/main',
  ])
})

test('a pause is taken back by itself or by what contains it', () => {
  const holds = new PoolHolds()
  holds.pause(app)
  holds.pause({ ...shop, tenantRef: 'bank' })
  expect(holds.isPaused(key)).toBe(true)
  expect(holds.isPaused({ ...key, role: 'other' })).toBe(false)
  expect(() => holds.pause(appInMain)).toThrow('app.shop/main is paused already')
  holds.resume(shop)
  expect(holds.isPaused(key)).toBe(false)
  holds.resume(everything)
  expect(holds.paused).toEqual([])
})

test('what a wider pause holds is not taken back alone', () => {
  const holds = new PoolHolds()
  holds.pause(shop)
  expect(() => holds.resume(app)).toThrow('it is shop that is paused')
  expect(() => holds.resume({ ...shop, tenantRef: 'bank' })).toThrow('bank is not paused')
  expect(holds.isPaused(key)).toBe(true)
})

test('a project that is disabled is so until it is enabled', () => {
  const holds = new PoolHolds()
  holds.disable('shop')
  expect([holds.isDisabled('shop'), holds.isDisabled('bank')]).toEqual([true, false])
  holds.enable('shop')
  expect(holds.isDisabled('shop')).toBe(false)
})

test('what one has told, another holds back in the place of its own', () => {
  const [one, other] = [new PoolHolds(), new PoolHolds()]
  one.change({ kind: 'pause', target: shop })
  one.change({ kind: 'disable', ref: 'bank' })
  other.change({ kind: 'pause', target: everything })
  other.adopt(one.all)
  expect(other.all).toEqual({ paused: [shop], disabled: ['bank'] })
  other.change({ kind: 'resume', target: shop })
  other.change({ kind: 'enable', ref: 'bank' })
  expect([other.all, one.isPaused(key)]).toEqual([{ paused: [], disabled: [] }, true])
})

test('what may be paused already is not paused twice', () => {
  const holds = new PoolHolds()
  holds.change({ kind: 'pause', target: shop })
  holds.change({ kind: 'pause', target: app, orIs: true })
  expect(holds.all.paused).toEqual([shop])
  expect(() => holds.change({ kind: 'pause', target: app })).toThrow('is paused already')
})

import { expect, test } from 'vitest'
import { placeOf, reachedFrom } from '../../../pooler/pool/server-place.ts'
import { makeTenant } from '../../support/tenants.ts'

const before = makeTenant({
  dbHost: 'db',
  dbPort: 5432,
  upstreamTls: 'verify-ca',
  upstreamCa: 'old',
})
const place = placeOf('192.0.2.1', before, null)

test('a server of a project that has not moved is reached with the TLS of now', () => {
  const now = { ...before, upstreamCa: 'renewed' }
  expect(reachedFrom(now, place)).toBe(now)
})

test.each([{ dbPort: 5433 }, { dbHost: 'other' }])(
  'one of a project that has moved, as it was dialled: %o',
  (moved) => {
    const now = { ...before, ...moved, upstreamTls: 'disable', upstreamCa: null } as const
    expect(reachedFrom(now, place)).toEqual(before)
  },
)

import { describe, expect, test } from 'vitest'
import type { ProjectFigures } from '../../../pooler/api/api-deps.ts'
import { connectionLine } from '../../../pooler/dashboard/public/connection-lines.ts'
import { eventDetails, toneOf } from '../../../pooler/dashboard/public/event-text.ts'
import { localInput, readExpiry } from '../../../pooler/dashboard/public/expiry.ts'
import {
  checkoutQuantile,
  type Figures,
  linePoints,
  rates,
  withSample,
} from '../../../pooler/dashboard/public/figures.ts'
import { bytes, duration, latency, relativeTime } from '../../../pooler/dashboard/public/format.ts'
import {
  grantOf,
  statusOf,
  withGrants,
  withoutRole,
} from '../../../pooler/dashboard/public/grants.ts'
import { placeOf } from '../../../pooler/dashboard/public/places.ts'
import { bucketBoundsSeconds, Histogram } from '../../../pooler/metrics/histogram.ts'

const nowMs = Date.UTC(2026, 4, 1, 12)
const nowS = nowMs / 1000

describe('an end', () => {
  test('of a preset counts from now, and the longest stays below what the API takes', () => {
    const choose = (preset: string) => readExpiry({ preset, custom: '' }, nowMs, 90)
    expect(choose('900')).toEqual({ expiresAt: nowS + 900, fault: null })
    expect(choose('never')).toEqual({ expiresAt: null, fault: null })
    expect(choose(String(90 * 86_400)).expiresAt).toBeLessThan(nowS + 90 * 86_400)
  })

  test('of one’s own is refused in the past, too far ahead, and when it is none', () => {
    const choose = (custom: string) => readExpiry({ preset: 'custom', custom }, nowMs, 90)
    expect(choose(localInput(nowMs + 3_600_000))).toEqual({ expiresAt: nowS + 3600, fault: null })
    expect(choose(localInput(nowMs - 60_000)).fault).toMatch(/past/)
    expect(choose(localInput(nowMs + 91 * 86_400_000)).fault).toMatch(/90 days/)
    expect([choose('').fault, choose('soon').fault]).toEqual([
      expect.stringMatching(/date/),
      expect.stringMatching(/date/),
    ])
  })
})

describe('rules', () => {
  const conditions = {
    expiresAt: nowS,
    v4: ['10.0.0.0/8'],
    v6: [],
    branchesOnly: false,
    reason: ' ',
  }

  test('are sent with what was chosen and nothing empty', () => {
    expect(grantOf('app', conditions)).toEqual({
      role: 'app',
      expires_at: nowS,
      allowed_networks: { allowed_cidrs: [{ cidr: '10.0.0.0/8' }] },
    })
    const open = { expiresAt: null, v4: [], v6: [], branchesOnly: true, reason: 'why' }
    expect(grantOf('app', open)).toEqual({ role: 'app', branches_only: true, reason: 'why' })
  })

  test('of other roles stay as they are', () => {
    const there = [{ role: 'a', reason: 'kept' }, { role: 'b' }]
    expect(withGrants(there, [{ role: 'b', expires_at: 1 }, { role: 'c' }])).toEqual([
      { role: 'a', reason: 'kept' },
      { role: 'b', expires_at: 1 },
      { role: 'c' },
    ])
    expect(withoutRole(there, 'a')).toEqual([{ role: 'b' }])
  })

  test('have a status', () => {
    const ending = (seconds: number) => ({ role: 'a', expires_at: nowS + seconds })
    expect(statusOf({ role: 'a' }, true, nowMs)).toBe('active')
    expect(statusOf(ending(3600), true, nowMs)).toBe('active')
    expect(statusOf(ending(60), true, nowMs)).toBe('soon')
    expect(statusOf(ending(0), true, nowMs)).toBe('over')
    expect(statusOf(ending(60), false, nowMs)).toBe('off')
  })
})

describe('connection lines', () => {
  const connection = {
    role: 'app_rw',
    ref: 'shop',
    host: 'pooler.example.com',
    port: 6543,
    database: 'main',
    with: 'token',
  } as const

  test('say which project and that a token comes, and never a secret', () => {
    expect(connectionLine('psql', connection)).toBe(
      'psql "postgres://app_rw.shop@pooler.example.com:6543/main?sslmode=require&options=-c%20jit%3Don"',
    )
    expect(connectionLine('url', { ...connection, with: 'password' })).toBe(
      'postgres://app_rw.shop@pooler.example.com:6543/main?sslmode=require',
    )
    expect(connectionLine('pg', connection)).toContain("options: '-c jit=on'")
    expect(connectionLine('jdbc', { ...connection, host: '::1' })).toBe(
      'jdbc:postgresql://[::1]:6543/main?user=app_rw.shop&sslmode=require&options=-c%20jit=on',
    )
  })

  test('keep a name with quotes in one word of shell and of JavaScript', () => {
    const odd = { ...connection, role: "o'neil", database: 'a$b' }
    expect(connectionLine('psql', odd)).toMatch(/^psql '[^']*'$|^psql "[^"$`\\]*"$|%24/)
    expect(connectionLine('postgres.js', odd)).toContain("username: 'o\\'neil.shop'")
  })
})

describe('figures', () => {
  const sample = (at: number, transactions: number, waits: readonly number[] = []): Figures => {
    const histogram = new Histogram()
    for (const ms of waits) histogram.observeMs(ms)
    const checkouts = [...histogram.counts]
    const none = {
      clients: 0,
      waiting: 0,
      oldestWaitMs: 0,
      serversBusy: 0,
      servers: 0,
      serversMax: 0,
    }
    return {
      at,
      ...none,
      transactions,
      queries: 0,
      bytesFromClients: 0,
      bytesToClients: 0,
      checkouts,
    }
  }

  test('are what the server sends, field by field', () => {
    // The page may import nothing of the server's: the compiler holds the two beside each other here.
    const sent: ProjectFigures & { readonly at: number } = sample(1, 0)
    const drawn: Figures = sent
    expect(drawn).toBe(sent)
  })

  test('are rates between two looks, and a pool that goes counts as nothing', () => {
    const samples = [sample(0, 100), sample(2000, 300), sample(4000, 10)]
    expect(rates(samples, (one) => one.transactions)).toEqual([100, 0])
  })

  test('of waits are the bucket of the quantile, as the histogram has it', () => {
    const before = sample(0, 0, [1])
    const now = sample(2000, 0, [1, 3, 3, 3, 700])
    expect(checkoutQuantile(before, now, 0.5)).toBe(bucketBoundsSeconds.find((one) => one >= 0.003))
    expect(checkoutQuantile(before, now, 1)).toBe(bucketBoundsSeconds.find((one) => one >= 0.7))
    expect(checkoutQuantile(now, now, 0.5)).toBeNull()
    expect(checkoutQuantile(before, sample(1, 0, [1, 1e9]), 1)).toBe(bucketBoundsSeconds.at(-1))
  })

  test('are kept for five minutes and drawn to the right edge', () => {
    let samples: readonly Figures[] = []
    for (let at = 0; at < 400; at += 1) samples = withSample(samples, sample(at, 0))
    expect([samples.length, samples.at(-1)?.at]).toEqual([150, 399])
    expect(linePoints([0, 5], { width: 149, height: 10, least: 10 })).toBe('148.0,10.0 149.0,5.0')
  })
})

test('times, amounts and addresses read as people say them', () => {
  expect(relativeTime(nowMs + 3 * 3_600_000, nowMs, 'en')).toBe('in 3 hours')
  expect(relativeTime(nowMs - 80_000, nowMs, 'en')).toBe('1 minute ago')
  expect(relativeTime(nowMs + 2000, nowMs, 'en')).toBe('now')
  expect([duration(250), duration(3_900_000), duration(86_400_000)]).toEqual([
    '250 ms',
    '1 h 5 min',
    '1 d',
  ])
  expect([bytes(0), bytes(1500), bytes(2.5e9)]).toEqual(['0 B', '1.50 kB', '2.50 GB'])
  expect([latency(null), latency(0.0032), latency(1.6)]).toEqual(['–', '3.2 ms', '1.6 s'])
})

test('addresses lead to pages, and what is none to nowhere', () => {
  expect(placeOf('/')).toEqual({ page: 'projects' })
  expect(placeOf('/projects/a%2Fb/')).toEqual({ page: 'project', ref: 'a/b', section: 'overview' })
  expect(placeOf('/projects/shop/access')).toMatchObject({ section: 'access' })
  expect(placeOf('/invite/shop')).toEqual({ page: 'invite', ref: 'shop' })
  for (const path of ['/docs', '/projects/shop/none', '/projects/%E0%A4', '/a/b/c/d']) {
    expect(placeOf(path)).toEqual({ page: 'nowhere' })
  }
})

test('an event says why, how long and what', () => {
  const nothing = {
    id: '1',
    time: '',
    actor: null,
    user_id: null,
    role: null,
    address: null,
    token_name: null,
    application_name: null,
    session_id: null,
    reason: null,
    duration_ms: null,
    transactions: null,
    bytes: null,
    count: null,
    details: null,
  }
  const refused = { ...nothing, action: 'refused', reason: 'rule_expired', count: 3 }
  expect([toneOf(refused), eventDetails(refused)]).toEqual(['bad', 'the rule is over · 3 times'])
  const ended = { ...nothing, action: 'ended', reason: 'something_new', duration_ms: 61_000 }
  expect(eventDetails(ended)).toBe('something new · lasted 1 min 1 s')
  const changed = {
    ...nothing,
    action: 'rule_changed',
    details: { user_roles: [{ role: 'a' }, null] },
  }
  expect(eventDetails(changed)).toBe('a')
})

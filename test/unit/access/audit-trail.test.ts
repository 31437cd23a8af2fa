import { afterEach, expect, test } from 'vitest'
import { AuditTrail } from '../../../pooler/access/audit-trail.ts'
import { auditActsMax, liveSessionsMax } from '../../../pooler/config/limits.ts'
import type { AccessEvent } from '../../../pooler/store/events.ts'
import { type Log, nullLog } from '../../../shared/log.ts'
import { eventually } from '../../support/eventually.ts'
import { ManualClock } from '../../support/manual-clock.ts'

class Rows {
  isDown = false
  readonly written: AccessEvent[] = []
  readonly removedBefore: number[] = []

  append = async (batch: readonly AccessEvent[]): Promise<void> => {
    if (this.isDown) throw new Error('metadata are away')
    if (batch.some((event) => event.reason === 'poison')) {
      throw Object.assign(new Error('invalid input'), { code: '22P02' })
    }
    this.written.push(...batch)
  }

  removeOlderThan = async (atMs: number): Promise<number> => {
    this.removedBefore.push(atMs)
    return 0
  }
}

const open: AuditTrail[] = []
afterEach(async () => {
  for (const trail of open.splice(0)) await trail.close()
})

function setup(retentionMs = 0) {
  const rows = new Rows()
  const clock = new ManualClock()
  const lines: { level: string; fields: object; text: string }[] = []
  const line = (level: string) => (fields: object, text: string) => {
    lines.push({ level, fields, text })
  }
  const log: Log = { ...nullLog, info: line('info'), error: line('error') }
  const trail = new AuditTrail({ events: rows, clock, log, retentionMs })
  open.push(trail)
  return { rows, clock, lines, trail }
}

const login = (reason: string | null = null): AccessEvent => ({
  atMs: 1,
  ref: 'shop',
  actor: 'ada',
  action: 'login',
  address: '203.0.113.9',
  reason,
})
const refused = (changes: Partial<AccessEvent> = {}) =>
  ({ ...login('token_unknown'), actor: null, ...changes, action: 'refused' }) as const

test('an event is a log line at once and a row within a second', async () => {
  const { rows, clock, lines, trail } = setup()
  trail.record(login())
  expect(lines).toEqual([
    {
      level: 'info',
      text: 'access: login',
      fields: { atMs: 1, ref: 'shop', actor: 'ada', action: 'login', address: '203.0.113.9' },
    },
  ])
  clock.advance(1000)
  await eventually(() => rows.written.length === 1)
  expect(rows.written).toEqual([login()])
})

test('events wait in order while rows cannot be written, and none is lost', async () => {
  const { rows, trail } = setup()
  rows.isDown = true
  for (let index = 0; index < 1200; index++) trail.record(login(String(index)))
  await trail.flush()
  expect(rows.written).toEqual([])
  rows.isDown = false
  await trail.flush()
  expect(rows.written.map((event) => event.reason)).toEqual(
    Array.from({ length: 1200 }, (_, index) => String(index)),
  )
})

test('logins are stopped while there is still room for the ends of those who are in', async () => {
  const { rows, lines, trail } = setup()
  rows.isDown = true
  while (trail.hasRoomForLogin) trail.record(login())
  const logins = lines.length
  expect(auditActsMax - logins).toBeGreaterThan(liveSessionsMax)
  for (let index = logins; index < auditActsMax; index++) {
    trail.record({ ...login(), action: 'ended' })
  }
  expect(lines.filter(({ level }) => level === 'error')).toEqual([])
  trail.record({ ...login(), action: 'ended' })
  expect(lines.at(-1)).toMatchObject({ level: 'error', text: 'an event stays without a row' })
  rows.isDown = false
  await trail.flush()
  expect(trail.hasRoomForLogin).toBe(true)
  expect(rows.written).toHaveLength(auditActsMax)
})

test('a flood of refusals neither stops logins nor grows without end', async () => {
  const { rows, trail } = setup()
  rows.isDown = true
  for (let index = 0; index < 20_000; index++) {
    trail.record(refused({ actor: 'ada', tokenId: 'laptop', reason: 'no_rule' }))
    trail.record(refused({ address: `198.51.${index >> 8}.${index & 255}` }))
  }
  expect(trail.hasRoomForLogin).toBe(true)
  rows.isDown = false
  await trail.close()
  expect(rows.written.length).toBeLessThan(5000)
  const counted = rows.written.reduce((sum, event) => sum + (event.count ?? 1), 0)
  expect(counted).toBe(40_000)
})

test('refusals without a known token are one row a minute for each project, source and reason', async () => {
  const { rows, clock, lines, trail } = setup()
  for (let time = 0; time < 3; time++) trail.record(refused())
  trail.record(refused({ address: '198.51.100.1' }))
  trail.record(refused({ ref: 'school' }))
  expect(lines).toHaveLength(5)
  await trail.flush()
  expect(rows.written).toEqual([])
  clock.advance(60_000)
  await trail.flush()
  expect(rows.written.map(({ ref, address, count }) => [ref, address, count])).toEqual([
    ['shop', '203.0.113.9', 3],
    ['shop', '198.51.100.1', 1],
    ['school', '203.0.113.9', 1],
  ])
})

test('one event that no table takes does not hold up the others, and is told as lost', async () => {
  const { rows, lines, trail } = setup()
  for (const reason of ['a', 'poison', 'b']) trail.record(login(reason))
  await trail.flush()
  expect(rows.written.map((event) => event.reason)).toEqual(['a', 'b'])
  expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
    { fields: { lost: 1, reason: 'poison' } },
  ])
})

test('closing writes what waits, counters too', async () => {
  const { rows, clock, trail } = setup()
  trail.record(login())
  trail.record(refused())
  await trail.close()
  expect(rows.written.map((event) => event.action)).toEqual(['login', 'refused'])
  expect(clock.timerCount).toBe(0)
})

test('rows older than the retention are removed', async () => {
  const { rows, clock, trail } = setup(1000)
  clock.advance(60_000)
  await trail.flush()
  expect(rows.removedBefore).toEqual([clock.wallMs() - 1000])
})

import { expect, test } from 'vitest'
import { HoldRecord } from '../../../pooler/access/hold-record.ts'
import { RecordedPerson } from '../../../pooler/access/recorded-person.ts'
import { holdsForLoginMax, holdsMax } from '../../../pooler/config/limits.ts'
import type { RoleTag } from '../../../pooler/relay/person-witness.ts'
import type { HoldRow } from '../../../pooler/store/holds.ts'
import { CapturedLog } from '../../support/captured-log.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const owner = (sessionId: string) => ({ sessionId, ref: 'shop', userId: 'ada', role: 'support' })

function setUp() {
  const rows = new Map<string, HoldRow>()
  const world = { rows, isDown: false, writes: 0 }
  const clock = new ManualClock()
  const captured = new CapturedLog()
  const record = new HoldRecord({
    holds: {
      put: async (holds) => {
        if (world.isDown) throw new Error('down')
        world.writes += 1
        for (const hold of holds) rows.set(hold.id, { ...hold })
      },
      removeOlderThan: async () => 0,
    },
    clock,
    log: captured.log,
    retentionMs: 0,
  })
  return { record, world, clock, captured }
}

test('a session that comes back to its server goes on with its hold, another begins one', async () => {
  const { record, world, clock } = setUp()
  const first = record.begin(owner('a'), 7, null)
  record.end(first)
  clock.advance(100)
  const again = record.begin(owner('a'), 7, first)
  expect(again).toBe(first)
  record.end(again)
  const other = record.begin(owner('b'), 7, again)
  expect(other).not.toBe(again)
  await record.flush()
  expect([...world.rows.values()].map(({ sessionId, toMs }) => [sessionId, toMs === null])).toEqual(
    [
      ['a', false],
      ['b', true],
    ],
  )
  expect(world.writes).toBe(1)
})

test('a hold that cannot be written waits, and closes with what came meanwhile', async () => {
  const { record, world } = setUp()
  world.isDown = true
  const hold = record.begin(owner('a'), 7, null)
  await record.flush()
  expect(world.rows.size).toBe(0)
  record.end(hold)
  world.isDown = false
  await record.close()
  expect([...world.rows.values()]).toMatchObject([{ sessionId: 'a', toMs: expect.any(Number) }])
})

test('logins stop long before a hold is lost, and a lost one is told', async () => {
  const { record, captured } = setUp()
  for (let index = 0; index < holdsForLoginMax; index++) record.begin(owner(`s${index}`), 7, null)
  expect(record.hasRoomForLogin).toBe(false)
  for (let index = holdsForLoginMax; index < holdsMax; index++) {
    record.begin(owner(`s${index}`), 7, null)
  }
  expect(captured.text).toBe('')
  record.begin(owner('one too many'), 7, null)
  expect(captured.lines).toMatchObject([{ lost: 1, sessionId: 'one too many' }])
})

test('a person who alters roles in a loop makes one event a second, and none is left out', () => {
  const { record, clock } = setUp()
  const told: [RoleTag, number][] = []
  const person = new RecordedPerson({
    owner: owner('a'),
    holds: record,
    clock,
    record: (tag, count) => void told.push([tag, count]),
  })
  for (let index = 0; index < 100; index++) person.onRoleStatement('ALTER ROLE')
  person.onRoleStatement('GRANT ROLE')
  expect(told).toEqual([
    ['ALTER ROLE', 1],
    ['GRANT ROLE', 1],
  ])
  clock.advance(1000)
  person.onRoleStatement('ALTER ROLE')
  expect(told.at(-1)).toEqual(['ALTER ROLE', 100])
  person.onRoleStatement('ALTER ROLE')
  person.close()
  expect(told.at(-1)).toEqual(['ALTER ROLE', 1])
})

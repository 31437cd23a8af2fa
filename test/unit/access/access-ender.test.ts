import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Change } from '../../../pooler/store/change-feed.ts'
import { AccessWorld } from '../../support/access-world.ts'
import { eventually } from '../../support/eventually.ts'

const rule: Change = { kind: 'rule', ref: 'shop', userId: 'ada' }
const minuteMs = 60_000

/** All that was doubted has been judged. */
const settled = (world: AccessWorld) => eventually(() => world.ender.doubtedCount === 0)

test('whatever takes access away ends the session at once, and says what it was', async () => {
  const ways: [Change, (world: AccessWorld) => void, string][] = [
    [rule, (world) => (world.rules = []), 'rule removed'],
    [rule, (world) => world.giveRule({ role: 'app' }), 'rule removed'],
    [rule, (world) => world.giveRule({ expiresAtMs: 0 }), 'rule expired'],
    [rule, (world) => world.giveRule({ branchesOnly: true }), 'rule is for branches only now'],
    [
      rule,
      (world) => world.giveRule({ networksV4: ['10.0.0.0/8'] }),
      'rule no longer allows your network',
    ],
    [
      { kind: 'token', id: 'token of ada' },
      (world) => world.changeToken({ revokedAtMs: 1 }),
      'token revoked',
    ],
    [
      { kind: 'token', id: 'token of ada' },
      (world) => world.changeToken({ expiresAtMs: 0 }),
      'token expired',
    ],
    [{ kind: 'member', userId: 'ada' }, (world) => (world.owner = null), 'member removed'],
    [
      { kind: 'membership', ref: 'shop', userId: 'ada' },
      (world) => (world.membership = null),
      'member removed from the project',
    ],
    [
      { kind: 'tenant', ref: 'shop' },
      (world) => world.addProject('shop', { useJit: false }),
      'temporary access disabled',
    ],
    [
      { kind: 'tenant', ref: 'shop' },
      (world) => world.addProject('shop', { ban: { reason: 'abuse', sinceMs: 0, untilMs: null } }),
      'project banned',
    ],
    [{ kind: 'tenant', ref: 'shop' }, (world) => world.projects.clear(), 'project deleted'],
    [{ kind: 'reread-all' }, (world) => (world.rules = []), 'rule removed'],
  ]
  for (const [change, takeAway, reason] of ways) {
    const world = new AccessWorld()
    const session = await world.login('one')
    takeAway(world)
    world.changes.announce(change)
    await settled(world)
    await eventually(() => session.state === 'ended')
    expect(world.toldTo('one')).toEqual([reason])
  }
})

test('those who are still allowed stay and are told nothing', async () => {
  const world = new AccessWorld()
  const session = await world.login('one')
  const changes: Change[] = [
    rule,
    { kind: 'token', id: 'token of ada' },
    { kind: 'member', userId: 'ada' },
    { kind: 'membership', ref: 'shop', userId: 'ada' },
    { kind: 'tenant', ref: 'shop' },
    { kind: 'reread-all' },
  ]
  for (const change of changes) {
    world.changes.announce(change)
    await settled(world)
  }
  expect(session.state).toBe('live')
  expect(world.toldTo('one')).toEqual([])
})

test('only the sessions that rest on what changed are judged anew', async () => {
  const world = new AccessWorld()
  await world.login('one')
  world.clock.advance(5000)
  const asked = world.standingsAsked
  const others: Change[] = [
    { kind: 'rule', ref: 'shop', userId: 'bob' },
    { kind: 'rule', ref: 'school', userId: 'ada' },
    { kind: 'token', id: 'token of bob' },
    { kind: 'member', userId: 'bob' },
    { kind: 'tenant', ref: 'school' },
  ]
  for (const change of others) world.changes.announce(change)
  expect(world.ender.doubtedCount).toBe(0)
  expect(world.standingsAsked).toBe(asked)
})

test('each session is judged by its own role and address', async () => {
  const world = new AccessWorld()
  const inside = await world.login('inside', { address: '10.1.1.1' })
  const outside = await world.login('outside')
  world.giveRule({ networksV4: ['10.0.0.0/8'] })
  world.changes.announce(rule)
  await eventually(() => outside.state === 'ended')
  await settled(world)
  expect(inside.state).toBe('live')
})

test("a branch's session ends with its parent's rule, state and membership", async () => {
  for (const change of [
    { kind: 'rule', ref: 'shop', userId: 'ada' },
    { kind: 'membership', ref: 'shop', userId: 'ada' },
  ] as const) {
    const world = new AccessWorld()
    world.addProject('shop-preview', { parentRef: 'shop' })
    const session = await world.login('one', { ref: 'shop-preview' })
    expect(world.sessions.list('shop')).toEqual([])
    expect(world.sessions.list('shop-preview')).toEqual([session])
    world.rules = []
    world.changes.announce(change)
    await eventually(() => session.state === 'ended')
  }
})

test('access ends at its exact end, within the tick, and not before', async () => {
  const world = new AccessWorld()
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 10_000 })
  const session = await world.login('one')
  world.clock.advance(9999)
  expect(session.state).toBe('live')
  world.clock.advance(999)
  expect(world.toldTo('one')).toEqual(['rule expired'])
})

test('the token ends the session where it ends first', async () => {
  const world = new AccessWorld()
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 10_000 })
  world.changeToken({ expiresAtMs: world.clock.wallMs() + 5000 })
  await world.login('one')
  world.clock.advance(6000)
  expect(world.toldTo('one')).toEqual(['token expired'])
})

test('a person is told 5 minutes and 1 minute before the end', async () => {
  const world = new AccessWorld()
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 10 * minuteMs })
  await world.login('one')
  world.clock.advance(5 * minuteMs - 1)
  expect(world.toldTo('one')).toEqual([])
  world.clock.advance(11 * minuteMs)
  expect(world.toldTo('one')).toEqual(['ends in 300 s', 'ends in 60 s', 'rule expired'])
})

test('who logs in with less than that left is told what is still to come', async () => {
  const world = new AccessWorld()
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 2 * minuteMs })
  await world.login('one')
  world.clock.advance(2 * minuteMs)
  expect(world.toldTo('one')).toEqual(['ends in 60 s', 'rule expired'])
})

test('a longer expiry disturbs nobody and moves the end', async () => {
  const world = new AccessWorld()
  const startMs = world.clock.wallMs()
  world.giveRule({ expiresAtMs: startMs + 10_000 })
  const session = await world.login('one')
  world.giveRule({ expiresAtMs: startMs + 20_000 })
  world.changes.announce(rule)
  await eventually(() => session.foundation?.endsAtMs === startMs + 20_000)
  world.clock.advance(19_999)
  expect(session.state).toBe('live')
  world.clock.advance(1000)
  expect(world.toldTo('one')).toEqual(['rule expired'])
})

test('a rule that loses its end never ends, and one that gets a shorter end is held to it', async () => {
  const world = new AccessWorld()
  const startMs = world.clock.wallMs()
  world.giveRule({ expiresAtMs: startMs + 10_000 })
  const session = await world.login('one')
  world.giveRule({ expiresAtMs: null })
  world.changes.announce(rule)
  await eventually(() => session.foundation?.endsAtMs === null)
  world.clock.jumpWall(400 * 24 * 60 * minuteMs)
  world.clock.advance(1000)
  expect(session.state).toBe('live')
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 2000 })
  world.changes.announce(rule)
  await eventually(() => session.foundation?.endsAtMs !== null)
  world.clock.advance(3000)
  expect(world.toldTo('one')).toEqual(['rule expired'])
})

test('an end of more than 25 days ahead does not come at once', async () => {
  const world = new AccessWorld()
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 60 * 24 * 60 * minuteMs })
  const session = await world.login('one')
  world.clock.advance(minuteMs)
  expect(session.state).toBe('live')
})

test('a wall clock that jumps past the end ends the session', async () => {
  const world = new AccessWorld()
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 60 * minuteMs })
  await world.login('one')
  world.clock.jumpWall(61 * minuteMs)
  world.clock.advance(1000)
  expect(world.toldTo('one')).toEqual(['rule expired'])
})

test('a change between the decision and the binding ends the session', async () => {
  const world = new AccessWorld()
  const session = world.enter('one')
  const decision = await world.judge({ session })
  world.rules = []
  world.changes.announce(rule)
  if (decision.isAllowed) world.sessions.bind(session, decision)
  await eventually(() => session.state === 'ended')
  expect(world.toldTo('one')).toEqual(['rule removed'])
})

test('a second change while the first is judged is judged too', async () => {
  const world = new AccessWorld()
  const session = await world.login('one')
  const held = world.holdStandings()
  world.changes.announce(rule)
  await eventually(() => held.waiting === 1)
  world.rules = []
  world.changes.announce(rule)
  held.release()
  await eventually(() => session.state === 'ended')
})

test('a session that cannot be judged stays for its time, is tried again, and then ends', async () => {
  const world = new AccessWorld({ blindMaxMs: 60_000 })
  const [one, two] = [await world.login('one'), await world.login('two')]
  world.isDown = true
  world.changes.announce(rule)
  world.clock.advance(1)
  await eventually(() => world.ender.doubtedCount === 2)
  world.clock.advance(59_000)
  expect([one.state, two.state]).toEqual(['live', 'live'])
  world.sessions.leave(two)
  world.clock.advance(2000)
  expect(world.toldTo('one')).toEqual(['access could not be confirmed'])
  expect(world.toldTo('two')).toEqual([])
})

test('a session that could not be judged is judged when the store is back', async () => {
  const world = new AccessWorld()
  const session = await world.login('one')
  world.isDown = true
  world.rules = []
  world.changes.announce(rule)
  await eventually(() => world.ender.doubtedCount === 1)
  world.isDown = false
  await eventually(() => {
    world.clock.advance(1000)
    return session.state === 'ended'
  })
  expect(world.toldTo('one')).toEqual(['rule removed'])
})

test('when changes are not heard for too long everybody’s access ends', async () => {
  const world = new AccessWorld({ blindMaxMs: 60_000 })
  const session = await world.login('one')
  world.changes.isBlind = true
  world.clock.advance(59_000)
  expect(session.state).toBe('live')
  world.clock.advance(2000)
  expect(world.toldTo('one')).toEqual(['access could not be confirmed'])
})

test('without a limit for blindness sessions go on', async () => {
  const world = new AccessWorld({ blindMaxMs: 0 })
  const session = await world.login('one')
  world.changes.isBlind = true
  world.clock.advance(24 * 60 * minuteMs)
  expect(session.state).toBe('live')
})

test('a session can be ended by hand, and no other with it', async () => {
  const world = new AccessWorld()
  const [one, two] = [await world.login('one'), await world.login('two')]
  world.changes.announce({ kind: 'session-end', ref: 'school', sessionId: 'one', reason: 'x' })
  expect(one.state).toBe('live')
  world.changes.announce({ kind: 'session-end', ref: 'shop', sessionId: 'one', reason: 'by hand' })
  expect(world.toldTo('one')).toEqual(['by hand'])
  expect(two.state).toBe('live')
})

test('a session is told of its end once, and never after it has left', async () => {
  const world = new AccessWorld()
  const [one, two] = [await world.login('one'), await world.login('two')]
  world.sessions.leave(two)
  world.rules = []
  world.changes.announce(rule)
  world.changes.announce({ kind: 'session-end', ref: 'shop', sessionId: 'one', reason: 'by hand' })
  await settled(world)
  expect(world.toldTo('one')).toEqual(['by hand'])
  expect(world.toldTo('two')).toEqual([])
  world.sessions.leave(one)
  world.sessions.leave(one)
  expect(world.sessions.size).toBe(0)
})

test('thousands who rest on one rule cost few look-ups and all end', async () => {
  const world = new AccessWorld()
  for (let index = 0; index < 3000; index++) await world.login(String(index))
  const asked = world.standingsAsked
  world.rules = []
  world.changes.announce(rule)
  await eventually(() => world.sessions.list('shop').length === 0)
  expect(world.standingsAsked - asked).toBeLessThan(5)
})

/** The most that happened between two turns of the event loop while `isDone` was not so yet. */
async function mostInOneTurn(count: () => number, isDone: () => boolean): Promise<number> {
  let most = 0
  for (let before = count(); !isDone(); ) {
    await nextTurn()
    most = Math.max(most, count() - before)
    before = count()
  }
  return most
}

test('ten thousand rules that end in the same second leave others their turn of the event loop', {
  timeout: 60_000,
}, async () => {
  const world = new AccessWorld()
  const sessions = 10_000
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 60_000 })
  for (let index = 0; index < sessions; index++) await world.login(String(index))
  const left = () => sessions - world.ender.scheduledCount
  world.clock.advance(59_999)
  expect(left()).toBe(0)
  world.clock.advance(1)
  const atOnce = left()
  const most = await mostInOneTurn(left, () => left() === sessions)
  expect([atOnce, most]).toEqual([100, 100])
  expect(world.toldTo('9999').at(-1)).toBe('rule expired')
  expect(world.sessions.list('shop')).toEqual([])
})

test('thousands who are judged anew leave others their turn too', async () => {
  const world = new AccessWorld()
  for (let index = 0; index < 3000; index++) await world.login(String(index))
  const left = () => 3000 - world.sessions.list('shop').length
  world.rules = []
  world.changes.announce(rule)
  const most = await mostInOneTurn(left, () => left() === 3000)
  expect(most).toBeLessThanOrEqual(200)
})

test('a session that left leaves nothing to wait for', async () => {
  const world = new AccessWorld()
  world.giveRule({ expiresAtMs: world.clock.wallMs() + 1000 })
  const session = await world.login('one')
  expect(world.ender.scheduledCount).toBe(1)
  world.sessions.leave(session)
  expect(world.ender.scheduledCount).toBe(0)
  world.clock.advance(2000)
  expect(world.toldTo('one')).toEqual([])
})

test('closing leaves neither timers nor listeners behind', async () => {
  const world = new AccessWorld()
  const listeners = world.changes.listenerCount
  const timers = world.clock.timerCount
  world.ender.close()
  expect(world.changes.listenerCount).toBe(listeners - 1)
  expect(world.clock.timerCount).toBe(timers - 1)
})

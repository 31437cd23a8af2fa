// People whom an outside authoriser let in: what its word decides, and for how long.
import { describe, expect, test } from 'vitest'
import type { OutsideAnswer, OutsideGrant } from '../../../pooler/access/http-authoriser.ts'
import type { Tenant } from '../../../pooler/tenant/tenant.ts'
import { AccessWorld, token } from '../../support/access-world.ts'
import { eventually } from '../../support/eventually.ts'

const url = 'https://auth.example.com/jit'
const userId = '00000000-1111-2222-3333-444444444444'
const minuteMs = 60_000

const yes = (changes: Partial<OutsideGrant> = {}): OutsideAnswer => ({
  isAllowed: true,
  answeredAtMs: 0,
  grant: {
    userId,
    role: 'postgres',
    expiresAtMs: null,
    networksV4: [],
    networksV6: [],
    ...changes,
  },
})

/** A world with one project that asks elsewhere, and rules of ours that would forbid everything. */
function setup(answer: OutsideAnswer | null = yes()) {
  const world = new AccessWorld()
  const project = (changes: Partial<Tenant> = {}) =>
    world.addProject('shop', { jitApiUrl: url, ...changes })
  project()
  world.rules = []
  world.owner = null
  world.outside = answer
  return { world, project }
}

const settled = (world: AccessWorld) => eventually(() => world.ender.doubtedCount === 0)

test('the authoriser is asked instead of our own rules, and nothing of the role is judged here', async () => {
  const { world } = setup()
  world.notAssignable.add('postgres')
  expect(await world.judge()).toMatchObject({
    isAllowed: true,
    member: { userId, email: null },
    token: { id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8/) },
    endsAtMs: null,
  })
  expect(world.outsideAsked).toMatchObject([
    { ref: 'shop', url, token, role: 'postgres', address: '203.0.113.9' },
  ])
  expect(world.standingsAsked).toBe(0)
})

test('whom it does not name is known by the token', async () => {
  const { world } = setup(yes({ userId: null }))
  const access = await world.judge()
  if (!access.isAllowed) throw new Error('not let in')
  expect(access.member.userId).toBe(access.token.id)
})

test('whom it names in another way than by UUID is the same person each time, in that project', async () => {
  const { world } = setup(yes({ userId: 'ada@example.com' }))
  world.addProject('other', { jitApiUrl: url })
  const idOf = async (ref: string) => {
    const access = await world.judge({ ref })
    if (!access.isAllowed) throw new Error('not let in')
    expect(access.member.name).toBe('ada@example.com')
    return access.member.userId
  }
  expect(await idOf('shop')).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/)
  expect(await idOf('shop')).toBe(await idOf('shop'))
  expect(await idOf('other')).not.toBe(await idOf('shop'))
})

test.each(['token_unknown', 'refused_outside', 'no_rule', 'role_not_granted'] as const)(
  'its refusal is ours: %s',
  async (reason) => {
    const { world } = setup({ isAllowed: false, reason })
    expect(await world.judge()).toEqual({ isAllowed: false, reason, person: null })
  },
)

test('its end and networks bind us too', async () => {
  const { world } = setup()
  const nowMs = world.clock.wallMs()
  world.outside = yes({ expiresAtMs: nowMs + 5 })
  expect(await world.judge()).toMatchObject({ isAllowed: true, endsAtMs: nowMs + 5 })
  world.outside = yes({ expiresAtMs: nowMs })
  expect(await world.judge()).toMatchObject({ isAllowed: false, reason: 'rule_expired' })
  world.outside = yes({ networksV4: ['10.0.0.0/8'] })
  expect(await world.judge()).toMatchObject({ isAllowed: false, reason: 'network_not_allowed' })
  expect(await world.judge({ address: '10.1.2.3' })).toMatchObject({ isAllowed: true })
  expect(await world.judge({ address: '2001:db8::1' })).toMatchObject({ isAllowed: false })
})

test('without an answer nothing is decided', async () => {
  const { world } = setup(null)
  await expect(world.judge()).rejects.toMatchObject({ code: 'EAUTHPROVIDER' })
})

test('where access is off, or the record is full, nobody is asked', async () => {
  const { world, project } = setup()
  project({ useJit: false })
  expect(await world.judge()).toMatchObject({ isAllowed: false, reason: 'access_disabled' })
  project()
  world.canRecord = false
  await expect(world.judge()).rejects.toMatchObject({ code: 'EAUTHPROVIDER' })
  expect(world.outsideAsked).toEqual([])
})

describe('a session that it let in', () => {
  test('is asked about each minute with its own token, role and address, and stays', async () => {
    const { world } = setup()
    const session = await world.login('one', { address: '203.0.113.7' })
    for (let minute = 1; minute <= 3; minute++) {
      world.clock.advance(minuteMs)
      await eventually(() => world.outsideAsked.length === minute + 1)
    }
    expect(world.outsideAsked.at(-1)).toMatchObject({ token, address: '203.0.113.7' })
    expect(session.state).toBe('live')
    expect(world.watch.size).toBe(1)
    world.sessions.leave(session)
    expect(world.watch.size).toBe(0)
    world.clock.advance(minuteMs)
    expect(world.outsideAsked).toHaveLength(4)
  })

  test('ends when it refuses, and nobody else with it', async () => {
    const { world } = setup()
    await world.login('one')
    world.clock.advance(30_000)
    await world.login('two')
    world.outside = { isAllowed: false, reason: 'refused_outside' }
    world.clock.advance(30_000)
    await eventually(() => world.toldTo('one').length > 0)
    expect(world.toldTo('one')).toEqual(['access withdrawn by the authoriser'])
    expect(world.toldTo('two')).toEqual([])
  })

  test('takes over a new end, earlier or later', async () => {
    const { world } = setup()
    const session = await world.login('one')
    const endsAtMs = world.clock.wallMs() + 90_000
    world.outside = yes({ expiresAtMs: endsAtMs })
    world.clock.advance(minuteMs)
    await eventually(() => session.foundation?.endsAtMs === endsAtMs)
    world.clock.advance(30_000)
    await eventually(() => world.toldTo('one').includes('rule expired'))
  })

  test('goes on through a silence of minutes, but not of ten', async () => {
    const { world } = setup()
    await world.login('one')
    world.outside = null
    const before = world.outsideAsked.length
    world.clock.advance(minuteMs)
    await eventually(() => world.outsideAsked.length > before)
    for (let each = 0; each < 53; each++) {
      world.clock.advance(10_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(world.toldTo('one')).toEqual([])
    world.clock.advance(10_000)
    expect(world.toldTo('one')).toEqual(['access could not be confirmed'])
  })

  test('counts its silence from the last good answer', async () => {
    const { world } = setup()
    await world.login('one')
    world.outside = null
    world.clock.advance(9 * minuteMs)
    await new Promise((resolve) => setImmediate(resolve))
    world.outside = yes()
    world.clock.advance(30_000)
    await eventually(() => world.outsideAsked.length > 2)
    await new Promise((resolve) => setImmediate(resolve))
    world.clock.advance(2 * minuteMs)
    expect(world.toldTo('one')).toEqual([])
  })

  test('is not asked about by changes of ours, which have no say', async () => {
    const { world, project } = setup()
    await world.login('one')
    world.outside = null
    for (const change of [
      { kind: 'reread-all' },
      { kind: 'tenant', ref: 'shop' },
      { kind: 'rule', ref: 'shop', userId },
      { kind: 'member', userId },
    ] as const) {
      project({ defaultPoolSize: 3 })
      world.changes.announce(change)
      await settled(world)
    }
    expect(world.toldTo('one')).toEqual([])
    expect(world.outsideAsked).toHaveLength(1)
  })

  test.each([
    ['the project is switched off', { useJit: false }, 'temporary access disabled'],
    ['access is decided here from now on', { jitApiUrl: null }, 'access is decided elsewhere now'],
  ] as const)('ends when %s', async (_what, changes, reason) => {
    const { world, project } = setup()
    await world.login('one')
    project(changes)
    world.changes.announce({ kind: 'tenant', ref: 'shop' })
    await eventually(() => world.toldTo('one').length > 0)
    expect(world.toldTo('one')).toEqual([reason])
  })

  test('is asked about at once where another authoriser has been named', async () => {
    const { world, project } = setup()
    await world.login('one')
    project({ jitApiUrl: `${url}/new` })
    world.outside = { isAllowed: false, reason: 'token_unknown' }
    world.changes.announce({ kind: 'tenant', ref: 'shop' })
    await eventually(() => world.toldTo('one').length > 0)
    expect(world.outsideAsked.at(-1)?.url).toBe(`${url}/new`)
  })
})

test('a person with a rule of ours is out when the project begins to ask elsewhere', async () => {
  const world = new AccessWorld()
  await world.login('one')
  world.outside = yes()
  world.addProject('shop', { jitApiUrl: url })
  world.changes.announce({ kind: 'tenant', ref: 'shop' })
  await eventually(() => world.toldTo('one').length > 0)
  expect(world.toldTo('one')).toEqual(['access is decided elsewhere now'])
  expect(world.outsideAsked).toEqual([])
})

test('a thousand sessions are not asked about all at once, and all within the minute', async () => {
  const { world } = setup()
  for (let each = 0; each < 1000; each++) await world.login(`session ${each}`)
  world.outsideAsked = []
  world.clock.advance(minuteMs)
  expect(world.outsideAsked.length).toBeLessThanOrEqual(40)
  for (let tick = 0; tick < 30; tick++) {
    await new Promise((resolve) => setImmediate(resolve))
    world.clock.advance(500)
  }
  expect(world.outsideAsked).toHaveLength(1000)
})

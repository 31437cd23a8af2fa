import { expect, test } from 'vitest'
import { Roster, type RosterMember } from '../../../shared/roster.ts'
import { freshSeed, withSeed } from '../../support/seeded-random.ts'

class Member implements RosterMember {
  seat = -1
}

test('random comings and goings leave what a Set would have', () =>
  withSeed(freshSeed(), async (random) => {
    const roster = new Roster<Member>()
    const set = new Set<Member>()
    const known = Array.from({ length: 30 }, () => new Member())
    for (let step = 0; step < 2000; step++) {
      const member = known[random.int(known.length)] as Member
      if (set.has(member)) {
        set.delete(member)
        roster.delete(member)
      } else if (random.chance(0.6)) {
        set.add(member)
        roster.add(member)
      } else {
        roster.delete(member)
      }
      expect(roster.size).toBe(set.size)
      const met = new Set(roster)
      expect(met.size).toBe(set.size)
      expect([...met].filter((one) => !set.has(one))).toEqual([])
    }
  }))

test('who leaves during a walk is left out, and nobody else', () => {
  const roster = new Roster<Member>()
  const members = Array.from({ length: 10 }, () => new Member())
  for (const member of members) roster.add(member)
  const gone = new Set<Member>()
  const met: Member[] = []
  for (const member of roster) {
    expect(gone.has(member)).toBe(false)
    met.push(member)
    // Itself, and one that has not been met.
    for (const leaving of [member, members.find((one) => !met.includes(one) && !gone.has(one))]) {
      if (leaving === undefined) continue
      gone.add(leaving)
      roster.delete(leaving)
    }
  }
  expect(new Set([...met, ...gone]).size).toBe(10)
  expect(roster.size).toBe(0)
})

test('shares of a round have everybody once', () => {
  for (const size of [0, 1, 9, 10, 11, 37]) {
    const roster = new Roster<Member>()
    for (let count = 0; count < size; count++) roster.add(new Member())
    const shares = Array.from({ length: 10 }, (_, part) => [...roster.share(part, 10)])
    expect(shares.flat().length).toBe(size)
    expect(new Set(shares.flat())).toEqual(new Set(roster))
    const sizes = shares.map(({ length }) => length)
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
  }
})

test('a member of another roster is none of this one', () => {
  const [one, other] = [new Roster<Member>(), new Roster<Member>()]
  const member = new Member()
  one.add(member)
  other.delete(member)
  expect([...one]).toEqual([member])
})

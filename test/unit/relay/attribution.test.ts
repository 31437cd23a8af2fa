import { describe, expect, test } from 'vitest'
import { Attribution, personLabel, renameMessages } from '../../../pooler/relay/attribution.ts'
import { profileOf } from '../../../pooler/relay/session-settings.ts'
import { applicationNameAsKept } from '../../../shared/protocol/application-name.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

const userId = '6f7c1d9e-2b64-4c7e-9a52-0d7f3f4c1a11'
const ada = new Attribution('ada@example.com')
const application = new Attribution(null)

describe('who a person is to readers', () => {
  test.each([
    ['ada@example.com', 'ada@example.com'],
    [null, userId],
    ['', userId],
    [`${'a'.repeat(28)}@example.com`, `${'a'.repeat(28)}@example.com`],
    [`${'a'.repeat(29)}@example.com`, `${'a'.repeat(29)}@~6f7c1d9e`],
    ['bob@example.com via latchkey', 'bob@example.com_via_latchkey'],
    ['zoë@example.com', 'zo\\xc3\\xab@example.com'],
    ['a\nb@example.com', 'a\\x0ab@example.com'],
  ])('%j is called %s', (email, label) => {
    expect(personLabel(userId, email)).toBe(label)
    expect(label.length).toBeLessThanOrEqual(40)
  })
})

describe('the name of a server', () => {
  test.each([
    ['psql', 'ada@example.com via latchkey psql'],
    ['', 'ada@example.com via latchkey'],
    [
      'bob@example.com via latchkey psql',
      'ada@example.com via latchkey bob@example.com via latchkey psql',
    ],
    ['x'.repeat(63), `ada@example.com via latchkey ${'x'.repeat(34)}`],
  ])('a person that calls itself %j', (own, name) => {
    expect(ada.nameFor(own)).toBe(name)
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63)
    expect(ada.ownOf(name)).toBe(own)
  })

  test('a person who is given the name of another does not get it', () => {
    expect(ada.ownOf('bob@example.com via latchkey psql')).toBe('bob@example.com via latchkey psql')
    expect(ada.nameFor(ada.ownOf('bob@example.com via latchkey psql'))).toMatch(/^ada@/)
  })

  test.each([
    ['web', 'web'],
    ['bob@example.com via latchkey psql', 'bob@example.com psql'],
    ['bob via latch via latchkeykey psql', 'bob psql'],
    ['via latchkey', ''],
    ['bob  VIA  Latchkey', 'bob'],
    ['aviation via latch', 'aviation via latch'],
  ])('an application that calls itself %j is %j', (own, name) => {
    expect(application.nameFor(own)).toBe(name)
    expect(application.ownOf(own)).toBe(name)
  })

  test('no application comes to the words, however it puts them together', () => {
    const random = new SeededRandom(1)
    for (let round = 0; round < 2000; round++) {
      const pieces = Array.from({ length: 1 + random.int(8) }, () =>
        random.pick([
          ' via latchkey',
          ' via',
          ' ',
          'latch',
          'key',
          'via latchkey',
          'x',
          ' vi',
          'a',
        ]),
      )
      expect(application.nameFor(pieces.join(''))).not.toMatch(/(^| )via +latchkey/i)
    }
  })

  test('many long names are remembered within bounds', () => {
    const names = Array.from({ length: 1000 }, (_, index) =>
      ada.nameFor(`${'x'.repeat(30)}${index} tail`),
    )
    expect(ada.ownOf(names.at(-1) as string)).toMatch(/tail$/)
    expect(ada.ownOf(names[0] as string)).toMatch(/^x+0/)
  })
})

test('the profile of an application is the same object on its server, a person has another', () => {
  const profile = profileOf(new Map([['application_name', 'psql']]))
  expect(application.onServer(profile)).toBe(profile)
  const named = ada.onServer(profile)
  expect(named.wanted.get('application_name')).toBe('ada@example.com via latchkey psql')
  expect(ada.onServer(profile)).toBe(named)
})

test('a name cannot leave its literal', () => {
  const text = renameMessages(`a'; drop table t; --\\'`, false).toString('latin1')
  expect(text).toContain(`SET SESSION application_name = E'a''; drop table t; --\\\\'''`)
})

test.each([
  ['psql', 'psql'],
  ['ü', '\\xc3\\xbc'],
  ['x'.repeat(70), 'x'.repeat(63)],
  [`${'x'.repeat(62)}ü`, 'x'.repeat(62)],
])('Postgres keeps %s as %s', (name, kept) => {
  expect(applicationNameAsKept(name)).toBe(kept)
})

// What goes in front of a login's settings, on servers that others have had.
import { describe, expect, test } from 'vitest'
import { restart } from '../../../pooler/pool/server-reset.ts'
import type { ServerLink } from '../../../pooler/relay/server-link.ts'
import { ServerStatements } from '../../../pooler/relay/server-statements.ts'

const baseline = new Map([['datestyle', 'ISO, MDY']])

const makeLink = (changes: Partial<ServerLink> = {}) =>
  ({
    applied: new Map(),
    reported: new Map(baseline),
    baseline,
    statements: new ServerStatements(),
    lastPerson: undefined,
    ...changes,
  }) as ServerLink

const sentTo = (link: ServerLink, person: string | null): string[] =>
  restart(link, person).map((message) => message.toString('utf8', 5, message.length - 1))

const resetSql = 'RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL'

describe('a server', () => {
  test('that nobody has had is as it should be', () => {
    expect(sentTo(makeLink(), null)).toEqual([])
  })

  test.each([
    ['that the same person has had', { lastPerson: 'ada' }],
    ['with settings of an earlier login', { applied: new Map([['work_mem', '3MB']]) }],
    ['that reports other values', { reported: new Map([['datestyle', 'SQL, DMY']]) }],
  ])('%s goes back to its settings', (_name, changes: Partial<ServerLink>) => {
    const link = makeLink(changes)
    expect(sentTo(link, 'ada')).toEqual([resetSql])
    expect(link.applied.size).toBe(0)
  })

  test.each([
    ['the application', null, 'ada'],
    ['a person', 'ada', null],
    ['another person', 'ada', 'bob'],
  ])('that %s has had keeps nothing of them', (_name, lastPerson, person) => {
    const link = makeLink({ lastPerson })
    expect(sentTo(link, person)).toEqual(['DISCARD ALL'])
    expect(link.lastPerson).toBeUndefined()
  })
})

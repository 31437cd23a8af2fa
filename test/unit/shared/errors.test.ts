import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CatalogueRow, catalogue, errorCodes } from '../../../shared/error-catalogue.ts'
import { PoolerError } from '../../../shared/errors.ts'

const handbook = readFileSync(new URL('../../../shared/ERRORS.md', import.meta.url), 'utf8')
const sections = new Map(
  handbook
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section]),
)

test('the catalogue and its handbook have the same codes in the same order', () => {
  expect([...sections.keys()]).toEqual(errorCodes)
})

test.each(errorCodes)(
  'the handbook tells of %s what the catalogue has, and explains it',
  (code) => {
    const row: CatalogueRow = catalogue[code]
    const retry = row.isSafeToRetry ? 'safe to retry' : 'not safe to retry'
    const section = sections.get(code) ?? ''
    expect(section.split('\n')[2]).toBe(
      `\`${row.sqlState}\` · ${row.severity} · HTTP ${row.httpStatus} · ${retry}`,
    )
    expect(section).toContain(`\n> ${row.text}\n>\n> Hint: ${row.hint ?? 'none'}\n`)
    for (const part of ['What happened', 'Why', 'What to do']) {
      expect(section).toMatch(new RegExp(`^- \\*\\*${part}:\\*\\* \\S.{20,}\\.$`, 'm'))
    }
  },
)

test.each(errorCodes)('%s has an SQLSTATE, a status and a text without a full stop', (code) => {
  const row: CatalogueRow = catalogue[code]
  expect(row.sqlState).toMatch(/^[0-9A-Z]{5}$/)
  expect(row.httpStatus).toBeGreaterThanOrEqual(400)
  expect(row.text).toMatch(/[^.\s]$/)
  expect(row.hint ?? 'x.').toMatch(/\.$/)
})

test('places in a text are filled, and one without a value stays visible', () => {
  const full = new PoolerError('EMAXCONN', { values: { limit: 5, role: 'app' } })
  expect(full.message).toBe('the limit of 5 clients of role "app" is reached')
  expect(new PoolerError('EMAXCONN', { values: { limit: 5 } }).message).toContain('role "?"')
})

test('a value that looks like a place is not filled again', () => {
  const error = new PoolerError('EMAXCONN', { values: { limit: '{role}', role: 'x' } })
  expect(error.message).toContain('{role} clients')
})

test('on the wire the code stands in front, but for a wrong password', () => {
  expect(new PoolerError('ENOIDENTIFIER').wireText).toBe('(ENOIDENTIFIER) no project ref was given')
  expect(new PoolerError('EWRONGPASSWORD', { values: { user: 'app' } }).wireText).toBe(
    'password authentication failed for user "app"',
  )
})

test("a hint of one's own replaces the row's, and the cause is kept", () => {
  const cause = new Error('x')
  const error = new PoolerError('EUPSTREAM', { hint: 'Wait.', cause })
  expect([error.hint, error.cause]).toEqual(['Wait.', cause])
  expect(new PoolerError('EUPSTREAM').hint).toBe(catalogue.EUPSTREAM.hint)
})

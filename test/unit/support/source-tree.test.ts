import { expect, test } from 'vitest'
import { findCycle, reachOf, readSource } from '../../support/source-tree.ts'

test('imports of every shape are found, with their targets from the root', () => {
  const lines = [
    "import { connect } from 'node:net'",
    "import type { Tenant } from '../tenant/tenant.ts'",
    'import {',
    '  type Clock,',
    '  sleep,',
    "} from '../../shared/clock.ts'",
    "import './side-effect.ts'",
    "export { other } from './other.ts'",
    "const late = await import('pg')",
  ]
  const { imports } = readSource('pooler/pool/pool.ts', lines.join('\n'))
  expect(imports).toEqual([
    { target: 'node:net', isOurs: false, isTypeOnly: false, clause: '{ connect } ' },
    { target: 'pooler/tenant/tenant.ts', isOurs: true, isTypeOnly: true, clause: '{ Tenant } ' },
    expect.objectContaining({ target: 'shared/clock.ts', isTypeOnly: false }),
    { target: 'pooler/pool/side-effect.ts', isOurs: true, isTypeOnly: false, clause: '' },
    expect.objectContaining({ target: 'pooler/pool/other.ts' }),
    { target: 'pg', isOurs: false, isTypeOnly: false, clause: '' },
  ])
})

test('comments are no code, and strings with slashes in them are no comments', () => {
  const { code } = readSource(
    'a.ts',
    "const url = 'http://x/*y*/' // process.env\n/* process.exit() */\nconst pattern = /[/]/\nprocess.title\n",
  )
  expect(code).toContain("'http://x/*y*/'")
  expect(code).not.toMatch(/process\.(env|exit)/)
  expect(code).toContain('process.title')
})

const a = readSource('shared/a.ts', "import { b } from './b.ts'\n")
const b = readSource('shared/b.ts', "import { c } from './c.ts'\n")

test('what a file reaches includes what its imports import, with the way there', () => {
  const c = readSource('shared/c.ts', '')
  const ways = reachOf([a, b, c], a)
  expect(ways.get(c)).toBe('shared/a.ts > shared/b.ts > shared/c.ts')
  expect(reachOf([a, b, c], c).size).toBe(1)
})

test('a cycle is found, one over types alone is none', () => {
  const closing = readSource('shared/c.ts', "import { a } from './a.ts'\n")
  const harmless = readSource('shared/c.ts', "import type { A } from './a.ts'\n")
  expect(findCycle([a, b, closing])).toEqual([
    'shared/a.ts',
    'shared/b.ts',
    'shared/c.ts',
    'shared/a.ts',
  ])
  expect(findCycle([a, b, harmless])).toBeNull()
})

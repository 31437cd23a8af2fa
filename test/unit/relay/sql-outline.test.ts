import { expect, test } from 'vitest'
import { outlineOf } from '../../../pooler/relay/sql-outline.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

test.each([
  ["select 'a''b', c", "select '    ', c"],
  ["select E'a\\'b', c", "select E'    ', c"],
  ['select $$a(b)$$, $x$c$$d$x$, $1', "select '      ', '        ', $1"],
  ['select a$b$ from "c (d)" -- e (f)\n, g', 'select a$b$ from "c (d)"         \n, g'],
  ['a /* b /* c */ d */ (e)', 'a                   (e)'],
  ['select "it\'s", \'"\'', "select \"it's\", ' '"],
  ["select E'a'\n'b\\'c', d", "select E'        ', d"],
  ["select E'a' 'b', d -- \n'", "select E' ' ' ', d    \n'"],
  ["select E'\xe9\\n\\'a', \x95\\(b)", "select E'      ', \x95\x80(b)"],
  ['select $\x95|$a(b)$\x95|$, c', "select '          ', c"],
])('%s', (text, outline) => {
  expect(outlineOf(text)).toEqual({ text: outline, isUncertain: false })
})

test.each([
  'select U&"a"',
  "select 'a\\' , b '",
  "select E'\x95\\', f(1), '",
  "select E'\x95\\\\', f(1)",
  "select \x95|e'\\', f(1), '",
  "select \x95|$$, 'a', $$",
])('%s may be read otherwise', (text) => {
  expect(outlineOf(text).isUncertain).toBe(true)
})

test('each character keeps its place, whatever is left open', () => {
  const random = new SeededRandom(5)
  const parts = ["'", '"', '$$', '$a$', '--', '/*', '*/', '\n', 'E', 'U&', '\\', 'x', ' ', '$', 'é']
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: random.int(12) }, () => random.pick(parts)).join('')
    expect(outlineOf(text).text.length, JSON.stringify(text)).toBe(text.length)
  }
})

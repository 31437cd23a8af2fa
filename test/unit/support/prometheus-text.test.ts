import { expect, test } from 'vitest'
import { parsePrometheusText } from '../../support/prometheus-text.ts'

const head = (name: string, type: string) => `# HELP ${name} Some help.\n# TYPE ${name} ${type}\n`

test('labels are read with their escapes', () => {
  const text = `${head('a', 'gauge')}a{x="1\\"\\\\\\n,",y=""} 2\n`
  expect(parsePrometheusText(text).get('a')?.samples).toEqual([
    { name: 'a', labels: { x: '1"\\\n,', y: '' }, value: 2 },
  ])
})

test.each([
  ['a counter without _total', `${head('a', 'counter')}a 1\n`],
  ['a gauge with _total', `${head('a_total', 'gauge')}a_total 1\n`],
  ['milliseconds', `${head('a_ms', 'gauge')}a_ms 1\n`],
  ['a family twice', head('a', 'gauge') + head('a', 'gauge')],
  ['a series twice', `${head('a', 'gauge')}a{x="1"} 1\na{x="1"} 2\n`],
  ['a TYPE without HELP', '# TYPE a gauge\na 1\n'],
  ['a sample of another family', `${head('a', 'gauge')}b 1\n`],
  ['a broken label', `${head('a', 'gauge')}a{x="1} 1\n`],
  ['no value', `${head('a', 'gauge')}a NaN\n`],
  ['no end of the last line', `${head('a', 'gauge')}a 1`],
  [
    'buckets that shrink',
    `${head('a', 'histogram')}a_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n`,
  ],
  ['no +Inf bucket', `${head('a', 'histogram')}a_bucket{le="1"} 2\na_sum 1\na_count 2\n`],
])('%s is refused', (_fault, text) => {
  expect(() => parsePrometheusText(text)).toThrow()
})

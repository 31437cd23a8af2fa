import { expect, test } from 'vitest'
import { readWords } from '../../../pooler/admin/command-text.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { freshSeed, withSeed } from '../../support/seeded-random.ts'

const texts = (command: string) => readWords(command).map(({ text }) => text)

test.each<[string, string[]]>([
  ['', []],
  ['  ;; ', []],
  ['-- nothing', []],
  ['SHOW POOLS;', ['SHOW', 'POOLS']],
  ['/* a */ show -- b\n pools', ['show', 'pools']],
  ['pause app_rw.shop/main', ['pause', 'app_rw.shop/main']],
  ['pause "a ""b"".shop"', ['pause', 'a "b".shop']],
  ["kill 'it''s'", ['kill', "it's"]],
  ['kill größe.shop', ['kill', 'größe.shop']],
])('%j', (command, words) => {
  expect(texts(command)).toEqual(words)
})

test.each(['show; show', 'show (1)', 'pause "', "pause '", 'a = b', `${'a '.repeat(2000)}`])(
  '%j is refused',
  (command) => {
    expect(() => readWords(command)).toThrow(PoolerError)
  },
)

test('no text makes it throw anything else, or go on for ever', async () => {
  await withSeed(freshSeed(), (random) => {
    const letters = [...`ab ."'/*-;\n\\$%\0é\u{1f600}`]
    for (let round = 0; round < 5000; round++) {
      const text = Array.from({ length: random.int(30) }, () => random.pick(letters)).join('')
      try {
        readWords(text)
      } catch (error) {
        expect(error).toBeInstanceOf(PoolerError)
      }
    }
  })
})

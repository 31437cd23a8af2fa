import { bench, describe } from 'vitest'
import { verdictOfBytes } from '../../pooler/relay/text-verdict.ts'

const texts = (make: (index: number) => string): Buffer[] =>
  Array.from({ length: 20_000 }, (_, index) => Buffer.from(`${make(index)}\0`))

const kinds = {
  'one text': texts(() => 'SELECT abalance FROM accounts WHERE aid = 1'),
  'values written in': texts((index) => `SELECT abalance FROM accounts WHERE aid = ${index}`),
  'a function, values written in': texts((index) => `SELECT my_function(${index})`),
  'an UPDATE, values written in': texts(
    (index) =>
      `UPDATE accounts SET abalance = abalance + ${index}, note = 'of ${index}' WHERE aid = ${index}`,
  ),
}

describe('what a text may leave behind', () => {
  for (const [name, all] of Object.entries(kinds)) {
    let at = 0
    bench(name, () => {
      const bytes = all[at++ % all.length] as Buffer
      verdictOfBytes(bytes, 0, bytes.length - 1)
    })
  }
})

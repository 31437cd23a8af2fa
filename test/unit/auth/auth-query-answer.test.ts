import { beforeAll, describe, expect, it } from 'vitest'
import { readAnswer, type TextRow } from '../../../pooler/auth/auth-query-answer.ts'
import { formatVerifier, makeVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../../shared/secret.ts'

let secret: string
beforeAll(async () => {
  secret = formatVerifier(await makeVerifier(new Secret('x'), { iterations: 7 })).reveal()
})

const read = (...rows: TextRow[]) => readAnswer(rows, 'app', 4096)

describe('an answer of auth_query', () => {
  it('is a verifier with two columns, or with a third that says until when', () => {
    const verifier = { iterations: 7 }
    expect(read(['app', secret])).toMatchObject({ kind: 'scram', verifier, validUntilMs: null })
    const cases: [string | null, number | null][] = [
      [null, null],
      ['infinity', null],
      ['-infinity', Number.NEGATIVE_INFINITY],
      ['2030-01-02 03:04:05+00', Date.UTC(2030, 0, 2, 3, 4, 5)],
      ['2030-01-02 03:04:05.6789+00', Date.UTC(2030, 0, 2, 3, 4, 5, 678)],
      ['0044-03-15 12:00:00+00 BC', Number.NEGATIVE_INFINITY],
      ['294276-12-31 23:59:59+00', null],
    ]
    for (const [text, validUntilMs] of cases) {
      expect(read(['app', secret, text]), `${text}`).toMatchObject({ kind: 'scram', validUntilMs })
    }
  })

  it('is none for everything unclear, and says why', () => {
    const cases: [TextRow[], RegExp][] = [
      [[], /no row/],
      [
        [
          ['app', secret],
          ['app', secret],
        ],
        /more than one row/,
      ],
      [[[]], /columns/],
      [[['app']], /columns/],
      [[['app', secret, null, null]], /columns/],
      [[['App', secret]], /another role/],
      [[[null, secret]], /another role/],
      [[['app', null]], /no password/],
      [[['app', `md5${'0'.repeat(32)}`]], /md5/],
      [[['app', 'in clear']], /no SCRAM-SHA-256 verifier/],
      [[['app', '']], /no SCRAM-SHA-256 verifier/],
      [[['app', secret, '']], /no timestamptz/],
      [[['app', secret, 'tomorrow']], /no timestamptz/],
      [[['app', secret, '2030-01-02']], /no timestamptz/],
      [[['app', secret, '2030-01-02 03:04:05']], /no timestamptz/],
      [[['app', secret, '2030-01-02 03:04:05+02']], /no timestamptz/],
      [[['app', secret, 't']], /no timestamptz/],
    ]
    for (const [rows, reason] of cases) {
      const answer = read(...rows)
      expect(answer).toMatchObject({ kind: 'none', reason: expect.stringMatching(reason) })
      expect(JSON.stringify(answer)).not.toContain(secret)
    }
  })
})

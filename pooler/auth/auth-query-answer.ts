// What the rows of an auth_query mean. The query is the tenant's own text: its answer is checked as
// a stranger's is.
import { parseVerifier, type ScramVerifier } from '../../shared/crypto/scram-verifier.ts'

export type AuthQueryAnswer =
  | {
      readonly kind: 'scram'
      readonly verifier: ScramVerifier
      /** null: for ever. May lie in the past. */
      readonly validUntilMs: number | null
      readonly usualIterations: number
    }
  | {
      readonly kind: 'none'
      /** For the log, never for the client. */
      readonly reason: string
      /** What the database uses for new verifiers. */
      readonly usualIterations: number
    }

export type TextRow = readonly (string | null)[]

/**
 * Rows are in text format with DateStyle ISO and time zone UTC: name, verifier and, if there is a
 * third column, rolvaliduntil. Everything unclear is `none`: the role cannot log in.
 */
export function readAnswer(
  rows: readonly TextRow[],
  role: string,
  usualIterations: number,
): AuthQueryAnswer {
  const none = (reason: string): AuthQueryAnswer => ({ kind: 'none', reason, usualIterations })
  const [row, ...more] = rows
  if (row === undefined) return none('auth_query has no row for the role')
  if (more.length > 0) return none('auth_query has more than one row for the role')
  if (row.length !== 2 && row.length !== 3) return none('auth_query must have 2 or 3 columns')
  const [name, secret, validUntil = null] = row
  if (name !== role) return none('auth_query answered for another role')
  if (secret === null || secret === undefined) return none('the role has no password')
  if (secret.startsWith('md5')) return none('the password is stored as md5; set it anew for SCRAM')
  const verifier = parseVerifier(secret)
  if (verifier === null) return none('the stored password is no SCRAM-SHA-256 verifier')
  const validUntilMs = readTimestamp(validUntil)
  if (validUntilMs === 'unreadable') return none('the third column of auth_query is no timestamptz')
  return { kind: 'scram', verifier, validUntilMs, usualIterations }
}

const form = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d{1,6})?\+00( BC)?$/

/** Rounds down to the millisecond, so that nothing lives longer than it should. */
function readTimestamp(text: string | null): number | null | 'unreadable' {
  if (text === null || text === 'infinity') return null
  if (text === '-infinity') return Number.NEGATIVE_INFINITY
  const match = form.exec(text)
  if (match === null) return 'unreadable'
  if (match[8] !== undefined) return Number.NEGATIVE_INFINITY
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map(Number)
  const fraction = Math.floor(Number(match[7] ?? 0) * 1000)
  const ms = Date.UTC(year, month - 1, day, hour, minute, second, fraction)
  // Years beyond what a Date can hold are as good as for ever.
  return Number.isNaN(ms) ? null : ms
}

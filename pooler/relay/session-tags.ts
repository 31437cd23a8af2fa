// Command tags that tell of session state, which outlives a transaction. They are the server's own
// word for what it did, so nothing is guessed from SQL text.

import type { RoleTag } from './person-witness.ts'

/** What a command left behind on the server, or took away. */
export type SessionTag =
  | 'SET'
  | 'RESET'
  | 'DISCARD ALL'
  | 'DEALLOCATE ALL'
  | 'LISTEN'
  | 'PREPARE'
  | 'DECLARE CURSOR'
  | 'LOAD'
  | 'DO'
  | 'CALL'
  | 'UNLISTEN'
  | 'DEALLOCATE'
  | 'CLOSE CURSOR'
  | 'CLOSE CURSOR ALL'
  | 'DROP TABLE'
  | RoleTag

const tagsByLetter: ReadonlyMap<number, readonly SessionTag[]> = new Map([
  [0x53, ['SET']],
  [0x52, ['RESET']],
  [0x44, ['DISCARD ALL', 'DECLARE CURSOR', 'DEALLOCATE ALL', 'DEALLOCATE', 'DO', 'DROP TABLE']],
  [0x43, ['CALL', 'CLOSE CURSOR', 'CLOSE CURSOR ALL', 'CREATE ROLE']],
  [0x41, ['ALTER ROLE']],
  [0x47, ['GRANT ROLE']],
  [0x55, ['UNLISTEN']],
  [0x4c, ['LISTEN', 'LOAD']],
  [0x50, ['PREPARE']],
])

const roleTags: ReadonlySet<SessionTag> = new Set(['CREATE ROLE', 'ALTER ROLE', 'GRANT ROLE'])

/** These leave nothing on the server's session, and are recorded where a person runs them. */
export const isRoleTag = (tag: SessionTag): tag is RoleTag => roleTags.has(tag)

/** Reads the body of a CommandComplete: `bytes[at..end)`, a text and its NUL. */
export function sessionTagOf(bytes: Buffer, at: number, end: number): SessionTag | null {
  const letter = bytes[at] as number
  // SELECT, INSERT, UPDATE, BEGIN and COMMIT leave here or at the length below.
  const candidates = tagsByLetter.get(letter)
  if (candidates === undefined) return null
  for (const tag of candidates) {
    if (end - at - 1 === tag.length && bytes.toString('latin1', at, end - 1) === tag) return tag
  }
  return null
}

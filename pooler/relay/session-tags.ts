// Command tags that tell of session state, which outlives a transaction. They are the server's own
// word for what it did, so nothing is guessed from SQL text.
import { Buffer } from 'node:buffer'
import type { RoleTag } from './person-witness.ts'

const tags = [
  'SET',
  'RESET',
  'DISCARD ALL',
  'DECLARE CURSOR',
  'DEALLOCATE ALL',
  'DEALLOCATE',
  'DO',
  'CALL',
  'CLOSE CURSOR',
  'CLOSE CURSOR ALL',
  'CREATE ROLE',
  'ALTER ROLE',
  'GRANT ROLE',
  'UNLISTEN',
  'LISTEN',
  'LOAD',
  'PREPARE',
] as const

/** Stands for the tag of any CREATE, ALTER and DROP that is not in the list. */
const schemaChange = 'schema change'

/** What a command left behind on the server, or took away. */
export type SessionTag = (typeof tags)[number] | typeof schemaChange

/** By their first letter, an array of its full length: this is asked at each query. */
const tagsByLetter: readonly (readonly (typeof tags)[number][])[] = Array.from(
  { length: 256 },
  (_, letter) => tags.filter((tag) => tag.charCodeAt(0) === letter),
)
const schemaVerbs = ['ALTER ', 'CREATE ', 'DROP '].map((verb) => Buffer.from(verb))

const roleTags: ReadonlySet<SessionTag> = new Set(['CREATE ROLE', 'ALTER ROLE', 'GRANT ROLE'])

/** These leave nothing on the server's session, and are recorded where a person runs them. */
export const isRoleTag = (tag: SessionTag): tag is RoleTag => roleTags.has(tag)

/** Reads the body of a CommandComplete: `bytes[at..end)`, a text and its NUL. */
export function sessionTagOf(bytes: Buffer, at: number, end: number): SessionTag | null {
  // SELECT, INSERT, UPDATE, BEGIN and COMMIT leave here or at the length below.
  for (const tag of tagsByLetter[bytes[at] as number] ?? []) {
    if (end - at - 1 === tag.length && bytes.toString('latin1', at, end - 1) === tag) return tag
  }
  return isSchemaChange(bytes, at, end) ? schemaChange : null
}

function isSchemaChange(bytes: Buffer, at: number, end: number): boolean {
  for (const verb of schemaVerbs) {
    // COMMIT and DELETE differ in the second letter.
    if (verb[0] !== bytes[at] || verb[1] !== bytes[at + 1]) continue
    return end - at > verb.length && bytes.compare(verb, 0, verb.length, at, at + verb.length) === 0
  }
  return false
}

// What a client is told of a statement: the types of its parameters, and the columns of its rows. Postgres settles
// the types at Parse, and refuses a statement whose columns have changed since (`cached plan must not change
// result type`). A server that learns it later would take what it finds then.
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { headerBytes } from '../../shared/protocol/message-types.ts'
import { outlineOf } from './sql-outline.ts'
import { parseMessage } from './statement-frames.ts'

export interface StatementShape {
  /** See `columnsOf`; null: nobody has been told. */
  columns: string | null
  /** The Parse with all types that clients were told; null: they were not. */
  parse: Buffer | null
  /** Monotonic ms when a server last parsed the text for a client, see StatementCatalog.isCheckDue. */
  parsedMs: number
  /** A server has found other columns, or other types: who prepares the text behind that gets another statement. */
  isOutdated: boolean
  /** It has found other columns: who was told these must prepare it anew. */
  hasOtherColumns: boolean
}

export const unknownShape = (nowMs: number): StatementShape => ({
  columns: null,
  parse: null,
  parsedMs: nowMs,
  isOutdated: false,
  hasOtherColumns: false,
})

const fetchWord = /\bfetch\b/i
const fetchAtFirst = /^[\s;]*fetch\b/i

/** Its columns are those of the cursor that is open when it runs, whatever a client was told. */
export const readsCursor = (text: string): boolean =>
  fetchWord.test(text) && fetchAtFirst.test(outlineOf(text).text)

const tableBytes = 6
const typeBytes = 4
const lengthBytes = 2
const modifierBytes = 4
const formatBytes = 2
const columnBytes = tableBytes + typeBytes + lengthBytes + modifierBytes + formatBytes

/**
 * Of the body of a RowDescription, or of NoData, which has none: a digest of names, types and modifiers, which
 * are what Postgres compares. null: it is malformed.
 */
export function columnsOf(bytes: Buffer, at: number, end: number): string | null {
  const digest = createHash('sha256')
  let next = at + 2
  while (next < end) {
    const nameEnd = bytes.indexOf(0, next)
    if (nameEnd === -1 || nameEnd + 1 + columnBytes > end) return null
    const typeAt = nameEnd + 1 + tableBytes
    const modifierAt = typeAt + typeBytes + lengthBytes
    digest.update(bytes.subarray(next, nameEnd + 1))
    digest.update(bytes.subarray(typeAt, typeAt + typeBytes))
    digest.update(bytes.subarray(modifierAt, modifierAt + modifierBytes))
    next = nameEnd + 1 + columnBytes
  }
  return digest.digest('base64')
}

/** `parse`: a whole Parse. `types`: the body of a ParameterDescription, which says them as Parse does. */
export function withTypes(serverName: string, parse: Buffer, types: Buffer): Buffer {
  const textAt = headerBytes + serverName.length + 1
  const typesAt = parse.indexOf(0, textAt) + 1
  return parseMessage(serverName, Buffer.concat([parse.subarray(textAt, typesAt), types]))
}

// ErrorResponse and NoticeResponse, Postgres manual "Error and Notice Message Fields".
import type { Severity } from '../error-catalogue.ts'
import type { PoolerError } from '../errors.ts'
import { backend } from './message-types.ts'
import { MessageWriter } from './message-writer.ts'

/** Fields that Latchkey reads or writes. A server may leave out any of them. */
export interface ErrorFields {
  readonly severity: string
  readonly sqlState: string
  readonly message: string
  readonly detail: string | null
  readonly hint: string | null
  /** Name of the function in Postgres' source that raised it. */
  readonly routine?: string | null
  /** What ran when it was raised, line by line. */
  readonly where?: string | null
}

const encode = (type: number, fields: ErrorFields): Buffer => {
  const writer = new MessageWriter().begin(type)
  const field = (letter: string, text: string | null): void => {
    if (text !== null) writer.byte(letter.charCodeAt(0)).cstring(text.replaceAll('\0', ''))
  }
  field('S', fields.severity)
  field('V', fields.severity)
  field('C', fields.sqlState)
  field('M', fields.message)
  field('D', fields.detail)
  field('H', fields.hint)
  field('R', fields.routine ?? null)
  return writer.byte(0).end().take()
}

export const encodeError = (fields: ErrorFields): Buffer => encode(backend.errorResponse, fields)

/** What a client gets for an error of ours; `severity` overrides the catalogue's. */
export function errorResponseOf(error: PoolerError, severity?: Severity): Buffer {
  return encodeError({
    severity: severity ?? error.row.severity,
    sqlState: error.row.sqlState,
    message: error.wireText,
    detail: error.detail,
    hint: error.hint,
  })
}

export const noticeResponse = (message: string, hint: string | null = null): Buffer =>
  encode(backend.noticeResponse, {
    severity: 'NOTICE',
    sqlState: '00000',
    message,
    detail: null,
    hint,
  })

/** Reads a body defensively: unterminated or missing fields are normal input. */
export function parseErrorFields(body: Buffer): ErrorFields {
  const fields = new Map<string, string>()
  let at = 0
  while (at < body.length && body[at] !== 0) {
    const letter = String.fromCharCode(body[at] as number)
    let end = body.indexOf(0, at + 1)
    if (end === -1) end = body.length
    if (!fields.has(letter)) fields.set(letter, body.toString('utf8', at + 1, end))
    at = end + 1
  }
  return {
    severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
    sqlState: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    detail: fields.get('D') ?? null,
    hint: fields.get('H') ?? null,
    routine: fields.get('R') ?? null,
    where: fields.get('W') ?? null,
  }
}

/** What Postgres itself said. `raw` is the whole ErrorResponse, to be passed on unchanged. */
export class PostgresError extends Error {
  override readonly name = 'PostgresError'
  readonly fields: ErrorFields
  readonly raw: Buffer

  /** `body` is the ErrorResponse behind its header; it is copied. */
  constructor(body: Buffer) {
    const fields = parseErrorFields(body)
    super(fields.message)
    this.fields = fields
    this.raw = new MessageWriter().begin(backend.errorResponse).bytes(body).end().take()
  }
}

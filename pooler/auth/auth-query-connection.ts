// One auxiliary connection that runs auth_query as the tenant's manager, with fixed settings: nothing
// that a client sent ever reaches it (CVE-2025-12819).
import { PoolerError } from '../../shared/errors.ts'
import { PostgresError } from '../../shared/protocol/error-response.ts'
import { extendedQuery, sync, terminate } from '../../shared/protocol/frontend-messages.ts'
import { MessageReader, type WholeMessage } from '../../shared/protocol/message-reader.ts'
import { backend } from '../../shared/protocol/message-types.ts'
import { type OpenedServer, type OpenServerOptions, openServer } from '../pool/server-login.ts'
import { SocketReader } from '../pool/socket-reader.ts'
import type { TextRow } from './auth-query-answer.ts'

/** A row is a name, a verifier and a time; what is larger is none. */
const bodyBytesMax = 64 * 1024
/** One row is right, a second one is wrong; nobody needs a third. */
const rowsMax = 2
/** For one query: replies and reports. A server that talks on is not listened to. */
const messagesMax = 100
/** Well below what a login may take; Postgres ends the query itself. */
const statementTimeoutMs = 5000

const fixedParameters = {
  application_name: 'latchkey (auth_query)',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  // Temporary objects last: unlike an empty path, this never finds one in place of the catalogue's.
  search_path: 'pg_catalog, pg_temp',
  statement_timeout: String(statementTimeoutMs),
} as const

/** What is behind the failure of a query; decides whether a fresh connection might do better. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'
}

export class AuthQueryConnection {
  readonly #opened: OpenedServer
  readonly #messages = new MessageReader({ bodyBytesMax })

  private constructor(opened: OpenedServer) {
    this.#opened = opened
    this.#messages.push(opened.rest)
  }

  /** Throws ServerOpenError. */
  static async open(options: OpenServerOptions): Promise<AuthQueryConnection> {
    return new AuthQueryConnection(await openServer({ ...options, parameters: fixedParameters }))
  }

  /** Postgres reports it from version 16 on; before, it is a constant. */
  get scramIterations(): string | null {
    return this.#opened.parameters.get('scram_iterations') ?? null
  }

  /**
   * Rows as text, two at most. Throws PostgresError for an error that the connection survives, else
   * ConnectionLostError, PoolerError, or the signal's reason: then the connection is closed.
   */
  async query(sql: string, parameter: string, signal: AbortSignal): Promise<TextRow[]> {
    const { socket } = this.#opened
    const reader = new SocketReader(socket, signal)
    try {
      socket.write(Buffer.concat([extendedQuery(sql, [parameter]), sync()]))
      return await this.#readReply(reader)
    } catch (error) {
      if (error instanceof PostgresError && error.fields.severity === 'ERROR') throw error
      socket.destroy()
      signal.throwIfAborted()
      if (error instanceof PoolerError) throw error
      throw new ConnectionLostError('the auth_query connection was lost', { cause: error })
    } finally {
      reader.release()
    }
  }

  close(): void {
    const { socket } = this.#opened
    if (socket.destroyed) return
    socket.write(terminate())
    socket.destroy()
  }

  /** A FATAL is thrown at once, an ERROR after the ReadyForQuery that follows it. */
  async #readReply(reader: SocketReader): Promise<TextRow[]> {
    const rows: TextRow[] = []
    let failure: PostgresError | null = null
    for (let count = 0; count < messagesMax; count++) {
      const { type, body } = await this.#next(reader)
      if (type === backend.readyForQuery) {
        if (failure !== null) throw failure
        return rows
      }
      if (type === backend.errorResponse) {
        failure = new PostgresError(body)
        if (failure.fields.severity !== 'ERROR') throw failure
      } else if (type === backend.dataRow) {
        rows.push(readRow(body))
        if (rows.length === rowsMax) {
          // Enough is known, and what still comes may be without end.
          this.#opened.socket.destroy()
          return rows
        }
      }
    }
    throw new PoolerError('EPROTOCOL', { values: { reason: 'endless answer to auth_query' } })
  }

  async #next(reader: SocketReader): Promise<WholeMessage> {
    for (;;) {
      const message = this.#messages.next()
      if (message !== null) return message
      this.#messages.push(await reader.chunk())
    }
  }

  get isOpen(): boolean {
    return !this.#opened.socket.destroyed
  }
}

/** DataRow: a count of columns, each with its length; -1 is null. */
function readRow(body: Buffer): TextRow {
  const malformed = new PoolerError('EPROTOCOL', { values: { reason: 'malformed DataRow' } })
  if (body.length < 2) throw malformed
  const columns = body.readUInt16BE(0)
  const row: (string | null)[] = []
  let at = 2
  for (let column = 0; column < columns; column++) {
    if (at + 4 > body.length) throw malformed
    const length = body.readInt32BE(at)
    at += 4
    if (length < 0) {
      row.push(null)
      continue
    }
    if (at + length > body.length) throw malformed
    row.push(body.toString('utf8', at, at + length))
    at += length
  }
  return row
}

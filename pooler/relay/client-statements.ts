// A client's prepared statements, put together: the names it has, the reader of its messages, and
// how errors are worded for it.

import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { backend, headerBytes } from '../../shared/protocol/message-types.ts'
import { MessageWriter } from '../../shared/protocol/message-writer.ts'
import type { ClientPump } from './client-pump.ts'
import { PreparedStatements, type StatementLimits } from './prepared-statements.ts'
import { type StatementCatalog, serverNamePattern } from './statement-catalog.ts'
import { StatementMessages } from './statement-messages.ts'

export interface StatementOptions extends StatementLimits {
  readonly catalog: StatementCatalog
}

export interface ClientStatements {
  readonly names: PreparedStatements
  readonly messages: StatementMessages
}

export function clientStatements(
  options: StatementOptions,
  pump: ClientPump,
  onPinned: (reason: 'large statement') => void,
): ClientStatements {
  const names = new PreparedStatements(options.catalog, options)
  return { names, messages: new StatementMessages(pump, names, onPinned) }
}

/** Postgres names the function; its text is translated and may change. */
export const isStalePlan = ({ fields }: PostgresError): boolean =>
  fields.sqlState === '0A000' && fields.routine === 'RevalidateCachedQuery'

/** An ErrorResponse in which our names of statements are the client's. */
export function withClientNames(raw: Buffer, names: PreparedStatements): Buffer {
  const body = raw.toString('latin1', headerBytes)
  const worded = body.replace(serverNamePattern, (ours) => names.nameOf(ours) ?? ours)
  if (worded === body) return raw
  const bytes = Buffer.from(worded, 'latin1')
  return new MessageWriter().begin(backend.errorResponse).bytes(bytes).end().take()
}

// A client's prepared statements, put together: the names it has, the reader of its messages, and
// how errors are worded for it.

import type { PoolerError } from '../../shared/errors.ts'
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { backend, headerBytes } from '../../shared/protocol/message-types.ts'
import { MessageWriter } from '../../shared/protocol/message-writer.ts'
import type { ClientPump } from './client-pump.ts'
import { PreparedStatements } from './prepared-statements.ts'
import { type StatementCatalog, serverNamePattern } from './statement-catalog.ts'
import { stalePlan } from './statement-frames.ts'
import { StatementMessages } from './statement-messages.ts'
import type { StatementCounters, StatementLimits } from './statement-supply.ts'
import { StatementTexts, type TextEvents } from './statement-texts.ts'
import type { SettingsInForce } from './text-environment.ts'

export interface StatementOptions extends StatementLimits {
  readonly catalog: StatementCatalog
}

export interface ClientStatements {
  readonly names: PreparedStatements
  readonly messages: StatementMessages
}

export interface StatementEvents extends TextEvents {
  /** The client has to keep its server from here on. */
  readonly onPinned: (reason: 'large statement') => void
}

export function clientStatements(
  options: StatementOptions,
  counters: StatementCounters,
  pump: ClientPump,
  inForce: SettingsInForce,
  events: StatementEvents,
): ClientStatements {
  const names = new PreparedStatements(options.catalog, options, counters, pump, inForce, () =>
    events.onPinned('large statement'),
  )
  const texts = new StatementTexts(names, events)
  return { names, messages: new StatementMessages(pump, names, texts, inForce) }
}

/** Postgres itself names one; a text of the client's may raise an error with thousands. */
const namesPerErrorMax = 8

/** Postgres names the function; its text is translated and may change. */
const isStalePlan = ({ fields }: PostgresError): boolean =>
  fields.sqlState === '0A000' && fields.routine === 'RevalidateCachedQuery'

/**
 * The server's error as its client is to read it: our names of statements are the client's. What it
 * tells of the server's statements is noted, so that the next try works. null: it is not to, or not yet.
 */
export function errorForClient(
  error: PostgresError,
  names: PreparedStatements,
): PoolerError | Buffer | null {
  const cause = names.inSql.causeOf(error)
  let looked = 0
  const body = cause.raw.toString('latin1', headerBytes)
  const worded = (cause === error ? names.inSql.withClientPosition(body) : body).replace(
    serverNamePattern,
    (ours) => {
      if (++looked > namesPerErrorMax) return ours
      names.errors.onNamed(ours, cause.fields.sqlState)
      return names.errors.nameOf(ours) ?? ours
    },
  )
  const instead = names.errors.takeInstead()
  if (instead !== null) return instead
  if (names.shapes.isOfOtherColumns(cause)) return stalePlan
  const told = worded === body ? cause.raw : errorOf(worded)
  return isStalePlan(error) && names.onStale(told) ? null : told
}

const errorOf = (body: string): Buffer =>
  new MessageWriter().begin(backend.errorResponse).bytes(Buffer.from(body, 'latin1')).end().take()

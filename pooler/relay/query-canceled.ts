import { encodeError, PostgresError } from '../../shared/protocol/error-response.ts'
import { headerBytes } from '../../shared/protocol/message-types.ts'

/** What Postgres says to a cancelled query, for a client that was still waiting for a server. */
export const queryCanceled = new PostgresError(
  encodeError({
    severity: 'ERROR',
    sqlState: '57014',
    message: 'canceling statement due to user request',
    detail: null,
    hint: null,
  }).subarray(headerBytes),
)

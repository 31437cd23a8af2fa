import { encodeError, PostgresError } from '../../shared/protocol/error-response.ts'
import { headerBytes } from '../../shared/protocol/message-types.ts'

const sqlState = '57014'

/** Also what a time limit of the client's own ends. */
export const isCancel = ({ fields }: PostgresError): boolean => fields.sqlState === sqlState

/** What Postgres says to a cancelled query, for a client that was still waiting for a server. */
export const queryCanceled = new PostgresError(
  encodeError({
    severity: 'ERROR',
    sqlState,
    message: 'canceling statement due to user request',
    detail: null,
    hint: null,
  }).subarray(headerBytes),
)

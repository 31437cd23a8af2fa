import { frontend, messageBytesMax } from '../../shared/protocol/message-types.ts'

/**
 * What a message means to a client that holds no server:
 * - work: it needs one
 * - sync: Postgres would answer ReadyForQuery and nothing else, so can we
 * - ignored: nothing to flush; copy data whose copy has failed
 */
export type IdleMessage = 'work' | 'sync' | 'ignored' | 'unknown'

export function idleMessageOf(type: number): IdleMessage {
  switch (type) {
    case frontend.query:
    case frontend.parse:
    case frontend.bind:
    case frontend.describe:
    case frontend.execute:
    case frontend.close:
    case frontend.functionCall:
      return 'work'
    case frontend.sync:
      return 'sync'
    case frontend.flush:
    case frontend.copyData:
    case frontend.copyDone:
    case frontend.copyFail:
      return 'ignored'
    default:
      return 'unknown'
  }
}

/** PQ_SMALL_MESSAGE_LIMIT of Postgres (libpq/libpq.h), without the length word. */
const smallBodyBytesMax = 9_996

/**
 * Postgres answers a Flush with a body by an error and skips all up to a Sync; at a small message over
 * its limit it hangs up. Nothing is owed for these messages, so the server may have another client by
 * then: they must not get there.
 */
export function bodyBytesMaxOf(type: number): number {
  switch (type) {
    case frontend.sync:
    case frontend.flush:
      return 0
    case frontend.copyDone:
    case frontend.copyFail:
      return smallBodyBytesMax
    default:
      return messageBytesMax
  }
}

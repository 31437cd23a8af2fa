import { frontend } from '../../shared/protocol/message-types.ts'

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

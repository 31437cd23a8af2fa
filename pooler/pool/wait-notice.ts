// What a client is told that has waited long for a server.
import { noticeResponse } from '../../shared/protocol/error-response.ts'

export interface WaitFacts {
  readonly seconds: number
  /** From 1. */
  readonly place: number
  readonly waiters: number
  /** pool_size. */
  readonly size: number
  /** Why no server is opened; null where all are in use. */
  readonly hindrance: string | null
}

export function waitNotice({ seconds, place, waiters, size, hindrance }: WaitFacts): Buffer {
  return noticeResponse(
    `waiting for a server for ${seconds} s: place ${place} of ${waiters} in the queue (pool size ${size})`,
    hindrance ?? 'Look for long or idle transactions, or raise pool_size.',
  )
}

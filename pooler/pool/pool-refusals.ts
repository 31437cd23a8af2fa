// Why a client gets no server from its pool, beside what its database says.
import { PoolerError } from '../../shared/errors.ts'

export const poolClosed = (): PoolerError =>
  new PoolerError('ETERMINATED', { values: { reason: 'the pool was closed' } })

export const tooManyWaiters = (limit: number): PoolerError =>
  new PoolerError('EMAXWAITERS', { values: { limit } })

/** `hindrance`: why no server is opened; null where all are in use. */
export const checkoutTimedOut = (
  values: { readonly ms: number; readonly size: number; readonly waiters: number },
  hindrance: string | null,
): PoolerError =>
  new PoolerError('ECHECKOUTTIMEOUT', {
    values,
    ...(hindrance === null ? {} : { detail: hindrance }),
  })

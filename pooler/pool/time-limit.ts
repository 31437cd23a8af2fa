import type { Clock } from '../../shared/clock.ts'

export interface TimeLimit {
  readonly clock: Clock
  readonly ms: number
  /** Aborts as well when this does. */
  readonly signal: AbortSignal | undefined
  /** What the signal's reason is when the time is up. */
  readonly makeReason: () => Error
}

/** Gives `run` a signal that aborts when the time is up; leaves neither timer nor listener behind. */
export async function withTimeLimit<Result>(
  limit: TimeLimit,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController()
  const { signal } = limit
  const onAbort = (): void => controller.abort(signal?.reason)
  signal?.throwIfAborted()
  signal?.addEventListener('abort', onAbort)
  const timer = limit.clock.after(limit.ms, () => controller.abort(limit.makeReason()))
  try {
    return await run(controller.signal)
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

/** Rejects with the signal's reason when that comes first; what the promise brings is dropped then. */
export function unlessAborted<Result>(
  promise: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/**
 * How long a wait lasts that ends badly. Where all goes well none lasts so long, however slow the machine
 * is; below the time limit of a test, so that what was waited for is told.
 */
export const patienceMs = 60_000

export interface EventuallyOptions {
  readonly timeoutMs?: number
  readonly pollMs?: number
}

/**
 * Runs `check` until it neither throws nor gives `false`, and returns what it gave. Tests wait on
 * state with it, never on time; when the state does not come the last failure is thrown.
 */
export async function eventually<Value>(
  check: () => Value | Promise<Value>,
  { timeoutMs = patienceMs, pollMs = 10 }: EventuallyOptions = {},
): Promise<Exclude<Value, false>> {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    let failure: unknown
    try {
      const value = await check()
      if (value !== false) return value as Exclude<Value, false>
      failure = new Error(`still false: ${check.toString().replace(/\s+/g, ' ').slice(0, 200)}`)
    } catch (error) {
      // A test that has been left out meanwhile is over.
      if (isLeftOut(error)) throw error
      failure = error
    }
    if (performance.now() > endMs) {
      throw new Error(`not so after ${timeoutMs} ms`, { cause: failure })
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

const isLeftOut = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'VITEST_PENDING'

// What was broken on purpose and when, so that an error that nothing explains can be told from one
// that had to be.

/** After a fault so long its errors may still come: the machine is busy, and clients wait in turn. */
const graceMs = 5000

/** From before it was asked for: when Postgres came to it nobody can tell. */
interface Fault {
  readonly startMs: number
  endMs: number
}
const unexplainedMax = 50

/** What a client may be told because its server, or all of Postgres, was taken away. */
const lossCodes: ReadonlySet<string> = new Set([
  '57P01', // Postgres: terminated by an administrator
  '57P02', // Postgres: crash of another backend
  '57P03', // Postgres: starting up or shutting down
  '08006', // ESERVERLOST, EUPSTREAM
  '53300', // ECHECKOUTTIMEOUT, with the cause
  '28000', // EAUTHPROVIDER: the metadata are in the same Postgres
])

export class SoakLedger {
  readonly unexplained: string[] = []
  explained = 0
  #unexplainedCount = 0
  readonly #restarts: Fault[] = []
  /**
   * Servers that were terminated, by database: each explains one lost client. That its server was idle
   * makes no difference: what a client had just sent there may have begun to run, or not.
   */
  readonly #terminated: (Fault & { readonly database: string; isUsed: boolean })[] = []

  get unexplainedCount(): number {
    return this.#unexplainedCount
  }

  /** `run` terminates one server in one of these databases. */
  duringTermination<Result>(
    databases: readonly string[],
    run: () => Promise<Result>,
  ): Promise<Result> {
    const faults = databases.map((database) => ({ ...newFault(), database, isUsed: false }))
    this.#terminated.push(...faults)
    return during(faults, run)
  }

  duringRestart(restart: () => Promise<void>): Promise<void> {
    const fault = newFault()
    this.#restarts.push(fault)
    return during([fault], restart)
  }

  /** An error that a client of this database met. */
  onError(database: string, doing: string, error: unknown): void {
    if (this.#explains(database, error)) {
      this.explained += 1
      return
    }
    const { code = '', message = String(error) } = error as { code?: string; message?: string }
    this.onFault(`${database}, ${doing}: ${code} ${message}`)
  }

  /** A scene of chaos did not come to its end: a server killed beside it may have been its own. */
  onSceneError(database: string, sinceMs: number, name: string, error: unknown): void {
    const isHit = (each: Fault & { readonly database: string }): boolean =>
      each.database === database && each.endMs - graceMs > sinceMs
    if (this.#terminated.some(isHit)) this.explained += 1
    else this.onFault(`${database}, ${name}: ${String(error)}`)
  }

  /** What no fault of ours explains: a wrong answer above all. */
  onFault(text: string): void {
    this.#unexplainedCount += 1
    if (this.unexplained.length < unexplainedMax) this.unexplained.push(text)
  }

  #explains(database: string, error: unknown): boolean {
    if (!isLoss(error)) return false
    const nowMs = performance.now()
    if (this.#restarts.some(({ startMs, endMs }) => nowMs > startMs && nowMs < endMs)) return true
    const kill = this.#terminated.find(
      (each) => !each.isUsed && each.database === database && nowMs < each.endMs,
    )
    if (kill === undefined) return false
    kill.isUsed = true
    return true
  }
}

const newFault = (): Fault => ({
  startMs: performance.now(),
  endMs: Number.POSITIVE_INFINITY,
})

async function during<Result>(
  faults: readonly Fault[],
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run()
  } finally {
    const endMs = performance.now() + graceMs
    for (const fault of faults) fault.endMs = endMs
  }
}

function isLoss(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown }
  if (typeof code === 'string' && code !== '') return lossCodes.has(code) || code === 'ECONNRESET'
  // pg's own word for a connection that ended: it comes without a code.
  return typeof message === 'string' && /^Connection terminated/.test(message)
}

// The workers of a primary: as many as there are slots, another one for each that dies, and the end of
// all. What they say is primary.ts.
import { type Clock, keepProcessUp } from '../../shared/clock.ts'
import type { Log } from '../../shared/log.ts'
import type { OpenPorts, Parting } from './worker-messages.ts'
import { type WorkerError, WorkerProcess, type WorkerProcessEvents } from './worker-process.ts'

export interface WorkerCrewOptions {
  readonly clock: Clock
  readonly log: Log
  /** One that has gone wrong ends by what this throws. */
  readonly onWords: (worker: WorkerProcess, words: unknown) => void
  readonly onGone: (worker: WorkerProcess) => void
  /** In the place of one that died there is none. */
  readonly onNotReplaced: (error: WorkerError) => void
}

const replaceMsMin = 100
const replaceMsMax = 5000
/** A worker that lived so long did not die of what its start was like. */
const provenMs = 10_000

export class WorkerCrew {
  readonly #options: WorkerCrewOptions
  readonly #workers = new Map<number, WorkerProcess>()
  readonly #failures = new Map<number, number>()
  #isEnding = false
  #hasServed = false
  #onAllGone: () => void = () => {}
  /** Else it would end, and quietly, between the death of its last worker and the next one. */
  readonly #letProcessGo = keepProcessUp()

  constructor(options: WorkerCrewOptions) {
    this.#options = options
  }

  /** undefined: it has died. */
  get(id: number): WorkerProcess | undefined {
    return this.#workers.get(id)
  }

  /** Those that serve. */
  get ready(): WorkerProcess[] {
    return [...this.#workers.values()].filter(({ ports }) => ports !== null)
  }

  /** Those that have their settings. */
  get started(): WorkerProcess[] {
    return [...this.#workers.values()].filter(({ isStarted }) => isStarted)
  }

  /** Fulfilled when it serves. Rejects with WorkerError when it cannot. */
  spawn(slot: number): Promise<OpenPorts> {
    const worker = new WorkerProcess(slot, this.#options.clock.monotonicMs(), this.#events)
    this.#workers.set(worker.id, worker)
    return worker.serves
  }

  /** Whoever dies from here on is not replaced. */
  beginEnd(): void {
    this.#isEnding = true
  }

  /** Fulfilled when the last one has gone. */
  async end(how: Parting): Promise<void> {
    this.#isEnding = true
    for (const worker of this.#workers.values()) {
      // One that does not serve yet has nobody to part from.
      if (worker.ports === null) worker.kill()
      else worker.send({ kind: 'stop', how })
    }
    await this.allGone()
  }

  /** All, whatever they do. */
  kill(): void {
    this.#isEnding = true
    for (const worker of this.#workers.values()) worker.kill()
  }

  allGone(): Promise<void> {
    if (this.#workers.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onAllGone = resolve
    })
  }

  readonly #events: WorkerProcessEvents = {
    onWords: (worker, words) => {
      try {
        this.#options.onWords(worker, words)
      } catch (error) {
        const text = 'a worker has gone wrong and is ended'
        this.#options.log.error({ err: error, worker: worker.id }, text)
        worker.kill()
      }
    },
    onError: ({ id }, error) => {
      this.#options.log.warn({ err: error, worker: id }, 'a worker could not be reached')
    },
    onDeaf: ({ id }) => {
      const text = 'a worker takes nothing of what it is told and is ended'
      this.#options.log.error({ worker: id }, text)
    },
    onServes: () => {
      this.#hasServed = true
    },
    onExit: (worker, how) => this.#onExit(worker, how),
  }

  #onExit(worker: WorkerProcess, how: number | string): void {
    const { log, clock, onGone } = this.#options
    const { id, slot, startedMs } = worker
    this.#workers.delete(id)
    onGone(worker)
    if (this.#isEnding) {
      if (this.#workers.size > 0) return
      this.#letProcessGo()
      this.#onAllGone()
      return
    }
    // Before the first has ever served, whoever started it is told, and nothing is tried again.
    if (!this.#hasServed) return
    const isProven = clock.monotonicMs() - startedMs > provenMs
    const failures = isProven ? 0 : (this.#failures.get(slot) ?? 0)
    this.#failures.set(slot, failures + 1)
    const delayMs = Math.min(replaceMsMax, replaceMsMin * 2 ** failures)
    log.error({ worker: id, how, delayMs }, 'a worker has ended; another takes its place')
    clock.after(delayMs, () => {
      if (!this.#isEnding) this.#replace(slot)
    })
  }

  #replace(slot: number): void {
    const { log, onNotReplaced } = this.#options
    this.spawn(slot).then(
      () => log.info({ slot }, 'a worker has taken the place of another'),
      (error: WorkerError) => {
        log.error({ err: error }, 'a worker could not be started')
        onNotReplaced(error)
      },
    )
  }
}

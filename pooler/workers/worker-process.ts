// One worker as the primary sees it: its process, the channel to it, and how far its start has come.
import cluster, { type Worker } from 'node:cluster'
import type { OpenPorts, ToWorker } from './worker-messages.ts'

/** Why no worker could be started, in words for the operator. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError'
}

export interface WorkerProcessEvents {
  /** As they came: nobody has looked at them. */
  readonly onWords: (worker: WorkerProcess, words: unknown) => void
  /** The channel to it does not work. */
  readonly onError: (worker: WorkerProcess, error: Error) => void
  /** It does not take what it is told, and has been ended. */
  readonly onDeaf: (worker: WorkerProcess) => void
  readonly onServes: (worker: WorkerProcess) => void
  readonly onExit: (worker: WorkerProcess, how: number | string) => void
}

/**
 * Messages that wait for a worker to read, a few hundred bytes each: what a busy pooler tells one in half
 * a minute. Its clients have not been served for as long.
 */
export const unsentMax = 100_000

export class WorkerProcess {
  readonly slot: number
  readonly startedMs: number
  /** Rejects with WorkerError where it ends before it serves. */
  readonly serves: Promise<OpenPorts>
  readonly #process: Worker
  readonly #events: WorkerProcessEvents
  /** It has asked for its settings. */
  hasGreeted = false
  /** It has its settings; from here on it is told what it has to know. */
  isStarted = false
  #ports: OpenPorts | null = null
  #isEnded = false
  #unsent = 0
  #onServes: (ports: OpenPorts) => void = () => {}
  #onFailed: (error: WorkerError) => void = () => {}

  constructor(slot: number, startedMs: number, events: WorkerProcessEvents) {
    this.slot = slot
    this.startedMs = startedMs
    this.#events = events
    this.serves = new Promise((onServes, onFailed) => {
      this.#onServes = onServes
      this.#onFailed = onFailed
    })
    this.#process = cluster.fork()
    // What one says that was told to end concerns nobody.
    this.#process.on('message', (words: unknown) => {
      if (!this.#isEnded) events.onWords(this, words)
    })
    this.#process.on('error', (error) => events.onError(this, error))
    this.#process.once('exit', (code, signal) => {
      this.#isEnded = true
      events.onExit(this, signal ?? code)
      this.fail(`a worker ended with ${signal ?? code} before it was ready`)
    })
  }

  /** By cluster's own number, which is never used again. */
  get id(): number {
    return this.#process.id
  }

  /** null: it is not ready yet. */
  get ports(): OpenPorts | null {
    return this.#ports
  }

  ready(ports: OpenPorts): void {
    this.#ports = ports
    this.#events.onServes(this)
    this.#onServes(ports)
  }

  /** It cannot start; of one that serves this means nothing. */
  fail(text: string): void {
    this.#onFailed(new WorkerError(text))
  }

  /** What it is told while it dies is for nobody: its exit is told in its own way. */
  send(message: ToWorker): void {
    if (this.#isEnded || !this.#process.isConnected()) return
    if (this.#unsent >= unsentMax) {
      this.kill()
      this.#events.onDeaf(this)
      return
    }
    this.#unsent++
    this.#process.process.send?.(message, undefined, undefined, () => {
      this.#unsent--
    })
  }

  /** At once, whatever it does. */
  kill(): void {
    this.#isEnded = true
    this.#process.process.kill('SIGKILL')
  }
}

// One running Postgres server as a child of this process: start until it is ready, stop in steps,
// never left behind. Not responsible for what is in its data folder (cluster.ts).
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, systemClock } from '../../shared/clock.ts'
import type { ServerUser } from './server-user.ts'
import { StartError } from './start-error.ts'

export interface ServerProcessOptions {
  readonly postgres: string
  readonly user: ServerUser
  readonly dataDirectory: string
  readonly port: number
  /** Given as `-c name=value`. */
  readonly settings: Readonly<Record<string, string>>
  onLogLine?(line: string): void
}

export type StopMode = 'smart' | 'fast' | 'immediate'

/** Recovery after a crash comes before readiness, so this is long. */
const readyTimeoutMs = 120_000
const pollMs = 20
/** A fast shutdown writes a checkpoint; after this it is asked to quit without. */
const stopTimeoutMs = 60_000
const quitTimeoutMs = 10_000
/** Kept to explain a failed start. */
const logLinesMax = 200
const logLineCharactersMax = 2_000

// Postgres manual, section "Shutting Down the Server".
const signalOf = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const

const running = new Set<ServerProcess>()
process.on('exit', () => {
  for (const server of running) server.signal('SIGINT')
})

export class ServerProcess {
  readonly port: number
  readonly dataDirectory: string
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  readonly #logLines: string[] = []

  private constructor(options: ServerProcessOptions, child: ChildProcess) {
    this.port = options.port
    this.dataDirectory = options.dataDirectory
    this.#child = child
    let partial = ''
    const onText = (text: string): void => {
      const lines = (partial + text).split('\n')
      partial = (lines.pop() ?? '').slice(0, logLineCharactersMax)
      for (const line of lines) {
        const kept = line.slice(0, logLineCharactersMax)
        this.#logLines.push(kept)
        if (this.#logLines.length > logLinesMax) this.#logLines.shift()
        options.onLogLine?.(kept)
      }
    }
    child.stderr?.setEncoding('utf8').on('data', onText)
    child.stdout?.setEncoding('utf8').on('data', onText)
    running.add(this)
    this.exited = new Promise((resolve) => {
      const onGone = (): void => {
        running.delete(this)
        resolve()
      }
      child.once('close', onGone)
      child.once('error', (error) => {
        onText(`FATAL:  ${error.message}\n`)
        onGone()
      })
    })
  }

  /** Resolves when the server takes connections; throws StartError with what it said last. */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const args = ['-D', options.dataDirectory, '-p', String(options.port)]
    for (const [name, value] of Object.entries(options.settings))
      args.push('-c', `${name}=${value}`)
    const server = new ServerProcess(options, options.user.spawn(options.postgres, args))
    await server.#untilReady()
    return server
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return running.has(this)
  }

  /** The last lines that the server wrote. */
  get recentLog(): readonly string[] {
    return this.#logLines
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends it; what does not end in time is ended harder. Safe to call again. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    this.signal(signalOf[mode])
    if (await this.#isGoneWithin(stopTimeoutMs)) return
    this.signal('SIGQUIT')
    if (await this.#isGoneWithin(quitTimeoutMs)) return
    this.signal('SIGKILL')
    await this.exited
  }

  #isGoneWithin(limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = systemClock.after(limitMs, () => resolve(false))
      void this.exited.then(() => {
        timer.cancel()
        resolve(true)
      })
    })
  }

  async #untilReady(): Promise<void> {
    const endMs = systemClock.monotonicMs() + readyTimeoutMs
    while (this.isRunning) {
      if (await this.#isReady()) return
      if (systemClock.monotonicMs() > endMs) {
        await this.stop('immediate')
        throw new StartError(`Postgres was not ready after ${readyTimeoutMs / 1000} s`)
      }
      await sleep(systemClock, pollMs)
    }
    throw new StartError(`Postgres did not start: ${this.#lastFault()}`)
  }

  /** The eighth line of postmaster.pid is what pg_ctl waits for too (miscadmin.h of Postgres). */
  async #isReady(): Promise<boolean> {
    const path = join(this.dataDirectory, 'postmaster.pid')
    const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n')
    return Number(lines[0]) === this.pid && lines[7]?.trim() === 'ready'
  }

  #lastFault(): string {
    const fault = this.#logLines.findLast((line) => /\b(FATAL|PANIC|ERROR):/.test(line))
    return fault ?? this.#logLines.at(-1) ?? 'it said nothing'
  }
}

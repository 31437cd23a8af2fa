// What the edge of a process has in every form of it, alone, in front of workers or as one of them: the
// service that runs, its end, and the word of what went wrong.
import type { Log } from '../shared/log.ts'
import { ConfigError } from './config/load-config.ts'
import type { DemoStart } from './embedded/demo-start.ts'
import type { Pooler } from './pooler.ts'
import type { Predecessor } from './predecessor.ts'
import type { Primary } from './workers/primary.ts'

/** The settings or the command line cannot be used. */
export const exitUsage = 2

export type Service = Pooler | Primary

export interface Running {
  service: Service | null
  demo: DemoStart | null
  /** null: this process replaces none. */
  predecessor: Predecessor | null
  isStopping: boolean
  /** Ends the successor that is being started; null: none is. */
  starting: AbortController | null
  /** A successor serves, and this process lets its clients finish. */
  isHandingOver: boolean
}

export const nothingRuns = (): Running => ({
  service: null,
  demo: null,
  predecessor: null,
  isStopping: false,
  starting: null,
  isHandingOver: false,
})

/**
 * Stops in its own way and ends the process; a signal meanwhile ends it at once. A successor that does not
 * serve yet ends with it.
 */
export function end(running: Running, stop: (service: Service) => Promise<void>): void {
  running.isStopping = true
  running.starting?.abort()
  const { service, demo } = running
  const stopped = async (): Promise<void> => {
    if (service !== null) await stop(service)
    await demo?.postgres.stop()
  }
  stopped().then(() => process.exit(0), fail)
}

/** What nobody caught leaves the process in an unknown state: it says so and ends. */
export function catchFaults(log: Log): void {
  const onFault = (error: unknown): void => {
    log.error({ err: error }, 'a fault that nobody caught; the process ends')
    setImmediate(() => process.exit(1))
  }
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', onFault)
}

/** One clear line for what a person can put right, with its causes. */
export function fail(error: unknown): never {
  process.stderr.write(`${lineOf(error)}\n`)
  process.exit(error instanceof ConfigError ? exitUsage : 1)
}

export function lineOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof TypeError) return error.stack ?? error.message
  const { cause } = error
  const isToldAlready = !(cause instanceof Error) || error.message.includes(cause.message)
  // Node's own texts go on with a list, as of the modules that required one.
  const [firstLine] = lineOf(cause).split('\n')
  return isToldAlready ? error.message : `${error.message}: ${firstLine}`
}

// A new process in the place of this one, without a refused connection: it is started with our
// listening sockets, and once it serves, we take no more clients and let ours finish. Until then
// nothing has changed; a successor that does not come up changes nothing.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Clock } from '../shared/clock.ts'
import type { CancelElsewhere } from './cancel/cancel-requests.ts'
import { inheritanceFor, type SocketName, socketNames } from './config/inherited-sockets.ts'
import type { Environment } from './config/load-config.ts'
import { type CancelOver, type PassedCancel, successorReady, takesCancels } from './predecessor.ts'

export interface SuccessionOptions {
  /** Descriptors that this process listens on. */
  readonly descriptors: Readonly<Record<SocketName, number>>
  readonly env: Environment
  /** How this process was started: program, its own arguments, script, arguments. */
  readonly command: readonly [string, ...string[]]
  readonly clock: Clock
  /** Ends a successor that does not serve yet. */
  readonly signal: AbortSignal
  /** Cancels of our clients reach the successor, since it has the ports. */
  readonly cancel: CancelElsewhere
}

/** Migrations and a first contact with the metadata are in it. */
const readyMsMax = 60_000

export class SuccessionError extends Error {
  override readonly name = 'SuccessionError'
}

/** The process id of the successor, which serves. Throws SuccessionError; then it is gone. */
export function startSuccessor(options: SuccessionOptions): Promise<number> {
  const { descriptors, env, command, clock, signal, cancel } = options
  const [file, ...args] = command
  const child = spawn(file, args, {
    env: { ...inheritanceFor(env, socketNames) },
    stdio: ['ignore', 'inherit', 'inherit', ...socketNames.map((name) => descriptors[name]), 'ipc'],
    detached: true,
  })
  return new Promise((resolve, reject) => {
    const timer = clock.after(readyMsMax, () => child.kill('SIGKILL'))
    // Should it serve in this very moment, it drains; and it ends by itself if we are gone before.
    const onAbort = (): void => {
      child.kill('SIGTERM')
      reject(new SuccessionError('it was ended before it served'))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    child.on('error', (error) => reject(new SuccessionError(error.message, { cause: error })))
    child.once('exit', (code, by) => {
      timer.cancel()
      reject(new SuccessionError(`it ended before it served (${by ?? `exit code ${code}`})`))
    })
    child.on('message', (message) => {
      if (message !== successorReady || signal.aborted) return
      signal.removeEventListener('abort', onAbort)
      timer.cancel()
      child.removeAllListeners('exit')
      takeCancels(child, cancel)
      child.unref()
      resolve(child.pid as number)
    })
  })
}

/** For as long as we live: the channel ends with us. */
function takeCancels(child: ChildProcess, cancel: CancelElsewhere): void {
  const tell = (message: CancelOver | string): void => {
    // Nothing is told to a successor that is gone.
    if (child.connected) child.send(message, () => {})
  }
  child.on('message', (message) => {
    const { kind, id, processId, secret } = (message ?? {}) as Partial<PassedCancel>
    if (kind !== 'cancel' || id === undefined || processId === undefined || secret === undefined)
      return
    void cancel(processId, Buffer.from(secret, 'hex')).then((isKnown) =>
      tell({ kind: 'cancel over', id, isKnown }),
    )
  })
  tell(takesCancels)
}

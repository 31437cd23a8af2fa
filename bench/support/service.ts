// A pooler under test as a process: started, ended with this run, its last words kept.
import type { ChildProcess } from 'node:child_process'

const lastLinesMax = 50_000
const stopTimeoutMs = 10_000

const running = new Set<Service>()
process.on('exit', () => {
  for (const service of running) service.kill()
})

export class Service {
  readonly name: string
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly #isGroup: boolean

  /** `isGroup`: it was started as the first of a process group, and may have made processes itself. */
  constructor(name: string, child: ChildProcess, isGroup = false) {
    this.name = name
    this.#child = child
    this.#isGroup = isGroup
    running.add(this)
    for (const stream of [child.stdout, child.stderr]) {
      let partial = ''
      stream?.setEncoding('utf8').on('data', (text: string) => {
        const lines = (partial + text).split('\n')
        partial = lines.pop() ?? ''
        this.#lines.push(...lines)
        this.#lines.splice(0, this.#lines.length - lastLinesMax)
      })
    }
    this.exited = new Promise((resolve) => {
      const onGone = (): void => {
        running.delete(this)
        resolve()
      }
      child.once('close', onGone)
      child.once('error', onGone)
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return running.has(this)
  }

  /** The last lines that it wrote, of both streams. */
  get lines(): readonly string[] {
    return this.#lines
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** With all that it has started, where that is known. */
  kill(): void {
    try {
      if (this.#isGroup && this.pid > 0) process.kill(-this.pid, 'SIGKILL')
      else this.signal('SIGKILL')
    } catch {
      // All of the group have ended.
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.signal(signal)
    const timer = setTimeout(() => this.kill(), stopTimeoutMs)
    await this.exited
    clearTimeout(timer)
  }
}

const usualStartTimeoutMs = 120_000
const pollMs = 50

/** Tries until it works; throws what went wrong last when the service ends or takes too long. */
export async function untilServing<Result>(
  service: Service,
  attempt: () => Promise<Result>,
  timeoutMs = usualStartTimeoutMs,
): Promise<Result> {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (cause) {
      if (!service.isRunning || performance.now() > endMs) {
        const words = [...service.lines.slice(-5), String(cause)].join('\n')
        throw new Error(`${service.name} does not serve: ${words}`, { cause })
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

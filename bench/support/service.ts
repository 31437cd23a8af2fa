// A pooler under test as a process: started, ended with this run, its last words kept.
import type { ChildProcess } from 'node:child_process'

const lastLinesMax = 50_000
const stopTimeoutMs = 10_000

const running = new Set<Service>()
process.on('exit', () => {
  for (const service of running) service.signal('SIGKILL')
})

export class Service {
  readonly name: string
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  readonly #lines: string[] = []

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
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

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.signal(signal)
    const timer = setTimeout(() => this.signal('SIGKILL'), stopTimeoutMs)
    await this.exited
    clearTimeout(timer)
  }
}

const startTimeoutMs = 120_000
const pollMs = 50

/** Tries until it works; throws what went wrong last when the service ends or takes too long. */
export async function untilServing<Result>(
  service: Service,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const endMs = performance.now() + startTimeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (cause) {
      if (!service.isRunning || performance.now() > endMs) {
        const words = service.lines.slice(-5).join('\n')
        throw new Error(`${service.name} does not serve: ${words}`, { cause })
      }
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

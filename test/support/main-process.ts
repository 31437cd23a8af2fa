// `node pooler/main.ts` as a process of its own, as an operator runs it: ports that were free a moment
// ago, output so far, signals, the end.
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { eventually } from './eventually.ts'

export interface Ports {
  readonly api: number
  readonly transaction: number
  readonly session: number
}

export interface MainOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Instead of the program alone. */
  readonly args?: readonly string[]
  /** In front of the program. */
  readonly nodeArgs?: readonly string[]
  /** Where the tree is; this one unless given. */
  readonly root?: string
  /** By `npm start`; signals then go to all of its group, as Ctrl-C in a terminal does. */
  readonly isByNpm?: boolean
  /** After so long it is taken for one that hangs. */
  readonly lifeMsMax?: number
}

const checkout = resolve(import.meta.dirname, '../..')
const runningMsMax = 180_000

/**
 * Linux gives connections that go out ports from 32768 on (ip_local_port_range): one of those that is
 * free now may be some client's by the time a process listens on it.
 */
const portMin = 12_000
const portMax = 32_000

export async function freePorts(): Promise<Ports> {
  const ports = new Set<number>()
  while (ports.size < 3) {
    const port = await freePort(randomInt(portMin, portMax))
    if (port !== null) ports.add(port)
  }
  const [api, transaction, session] = [...ports] as [number, number, number]
  return { api, transaction, session }
}

export const portSettings = ({ api, transaction, session }: Ports): Record<string, string> => ({
  PORT: String(api),
  PROXY_PORT_TRANSACTION: String(transaction),
  PROXY_PORT_SESSION: String(session),
})

export class MainProcess {
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #child: ReturnType<typeof spawn>
  readonly #isGroup: boolean
  #stdout = ''
  #stderr = ''

  /** Nothing of the tester's own environment reaches it but the way to programs, and to what is compiled. */
  constructor(options: MainOptions = {}) {
    const { env = {}, args = [], nodeArgs = [], root = checkout, isByNpm = false } = options
    const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env
    const main = resolve(root, 'pooler/main.ts')
    const [file, ...words] = isByNpm
      ? ['npm', 'start']
      : [process.execPath, ...nodeArgs, main, ...args]
    this.#isGroup = isByNpm
    this.#child = spawn(file as string, words, {
      cwd: root,
      detached: isByNpm,
      env: { PATH, NODE_COMPILE_CACHE, LC_ALL: 'C.UTF-8', LOG_FORMAT: 'json', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    const timer = setTimeout(() => this.kill('SIGKILL'), options.lifeMsMax ?? runningMsMax)
    this.exited = once(this.#child, 'close').then(([code, signal]) => {
      clearTimeout(timer)
      return { code, signal }
    })
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.#isGroup) process.kill(-this.pid, signal)
    else this.#child.kill(signal)
  }

  /** It has said so; fails at once when it has ended instead. */
  async ready(): Promise<void> {
    await this.says('"msg":"ready"')
  }

  async says(text: string): Promise<void> {
    const isThere = () => this.#stdout.includes(text)
    await eventually(() => isThere() || !this.isRunning)
    if (!isThere())
      throw new Error(`it ended without saying ${text}: ${this.#stderr}${this.#stdout}`)
  }

  /** Ends it whatever it does; for after a test. */
  async end(): Promise<void> {
    if (this.isRunning) this.kill('SIGKILL')
    await this.exited
  }
}

// Runs a client program (psql, pgbench) for a test: its output and exit code, within bounds.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import type { TestContext } from 'vitest'

export interface ProgramOptions {
  /** Written to its standard input, which then ends. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** It is killed then, and `isTimedOut` says so. */
  readonly timeoutMs?: number
}

export interface ProgramResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  readonly isTimedOut: boolean
}

/** After so long it is taken for one that hangs. */
const runningMsMax = 120_000
const outputCharactersMax = 10_000_000

/** A program that runs: write to it, look at what it said so far, wait for its end. */
export class Program {
  readonly finished: Promise<ProgramResult>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(file: string, args: readonly string[], options: Omit<ProgramOptions, 'input'> = {}) {
    // PG* variables of the person who runs the tests must not reach the client.
    const env = {
      PATH: process.env.PATH ?? '',
      LC_ALL: 'C.UTF-8',
      PSQLRC: '/dev/null',
      ...options.env,
    }
    this.#child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-outputCharactersMax)
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-outputCharactersMax)
    })
    // A program that ended does not read; its exit code tells.
    this.#child.stdin?.on('error', () => {})
    this.finished = this.#untilFinished(options.timeoutMs ?? runningMsMax)
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  endInput(text = ''): void {
    this.#child.stdin?.end(text)
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal)
  }

  #untilFinished(timeoutMs: number): Promise<ProgramResult> {
    return new Promise((resolve, reject) => {
      let isTimedOut = false
      const timer = setTimeout(() => {
        isTimedOut = true
        this.kill('SIGKILL')
      }, timeoutMs)
      this.#child.once('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      this.#child.once('close', (exitCode) => {
        clearTimeout(timer)
        resolve({ exitCode, stdout: this.#stdout, stderr: this.#stderr, isTimedOut })
      })
    })
  }
}

export function runProgram(
  file: string,
  args: readonly string[],
  { input = '', ...options }: ProgramOptions = {},
): Promise<ProgramResult> {
  const program = new Program(file, args, options)
  program.endInput(input)
  return program.finished
}

/** Skips the test, with the reason that `npm test` prints, where the program is not installed. */
export function needsProgram(context: TestContext, file: string, ask = '--version'): void {
  context.skip(isProgramMissing(file, ask), `${file} is not installed`)
}

export const isProgramMissing = (file: string, ask = '--version'): boolean =>
  spawnSync(file, [ask], { stdio: 'ignore' }).status !== 0

/** The major version of one of Postgres' programs. */
export function programVersion(file: string): number {
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' })
  return Number(/ (\d+)/.exec(stdout)?.[1] ?? 0)
}

// A client program (pgbench, psql) that this run starts and ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { type Address, libpqEnvironment } from './address.ts'

export interface ProgramEnd {
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Longer output keeps its end. */
const outputCharactersMax = 1_000_000

export class Program {
  readonly ended: Promise<ProgramEnd>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  /** `isDeaf`: its output is not read, as by a client that hangs. */
  constructor(file: string, args: readonly string[], address: Address, isDeaf = false) {
    const env = {
      PATH: process.env.PATH ?? '',
      LC_ALL: 'C.UTF-8',
      PSQLRC: '/dev/null',
      ...libpqEnvironment(address),
    }
    this.#child = spawn(file, args, { env, stdio: 'pipe' })
    if (!isDeaf) {
      this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        this.#stdout = (this.#stdout + text).slice(-outputCharactersMax)
      })
    }
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-outputCharactersMax)
    })
    this.#child.stdin?.on('error', () => {})
    running.add(this)
    this.ended = this.#untilEnded()
  }

  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  endInput(): void {
    this.#child.stdin?.end()
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal)
    // Unread output of a dead program would keep 'close' from coming.
    this.#child.stdout?.resume()
  }

  #untilEnded(): Promise<ProgramEnd> {
    return new Promise((resolve, reject) => {
      this.#child.once('error', (error) => {
        running.delete(this)
        reject(error)
      })
      this.#child.once('close', (exitCode) => {
        running.delete(this)
        resolve({ exitCode, stdout: this.#stdout, stderr: this.#stderr })
      })
    })
  }
}

const running = new Set<Program>()
process.on('exit', () => {
  for (const program of running) program.kill()
})

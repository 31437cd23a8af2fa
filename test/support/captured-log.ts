// The log of a process under test as it is written: JSON lines, kept for looking at.
import { createLog, type Log } from '../../shared/log.ts'

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string }

const linesMax = 100_000

export class CapturedLog {
  readonly log: Log
  readonly #texts: string[] = []

  constructor() {
    const sink = {
      write: (text: string) => {
        if (this.#texts.length < linesMax) this.#texts.push(text)
      },
    }
    this.log = createLog({ level: 'debug', format: 'json', sink })
  }

  /** Everything that was written, as it was written. */
  get text(): string {
    return this.#texts.join('')
  }

  get lines(): LogLine[] {
    return this.#texts.map((text) => JSON.parse(text) as LogLine)
  }

  /** The lines that carry all of these fields. */
  with(fields: Readonly<Record<string, unknown>>): LogLine[] {
    const wanted = Object.entries(fields)
    return this.lines.filter((line) => wanted.every(([name, value]) => line[name] === value))
  }
}

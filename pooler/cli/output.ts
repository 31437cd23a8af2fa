// Tables for people, JSON for programs. Texts of the answers are other people's: none of their control
// characters reaches a terminal.

export type OutputForm = 'table' | 'json'
export type Cell = string | number | boolean | null | undefined
export type Row = Readonly<Record<string, Cell>>

export interface OutputOptions {
  readonly form: OutputForm
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

export class Output {
  readonly form: OutputForm
  readonly #options: OutputOptions

  constructor(options: OutputOptions) {
    this.form = options.form
    this.#options = options
  }

  /** `answer` as it came, or its rows under their names. */
  list(answer: unknown, rows: readonly Row[], ifEmpty: string): void {
    if (this.form === 'json') this.#json(answer)
    else if (rows.length === 0) this.#options.out(`${ifEmpty}\n`)
    else this.#options.out(tableOf(rows))
  }

  /** One thing, a line for each of its parts. */
  one(answer: unknown, row: Row): void {
    if (this.form === 'json') this.#json(answer)
    else {
      const entries = Object.entries(row)
      const width = Math.max(...entries.map(([name]) => name.length))
      for (const [name, cell] of entries)
        this.#options.out(`${name.padEnd(width)}  ${textOf(cell)}\n`)
    }
  }

  /** That something was done. */
  done(answer: unknown, text: string): void {
    if (this.form === 'json') this.#json(answer)
    else this.#options.out(`${clean(text)}\n`)
  }

  /** Bytes as they are, for a file. */
  raw(text: string): void {
    this.#options.out(text)
  }

  /** Beside the answer; never in a pipe. */
  note(text: string): void {
    this.#options.err(`${clean(text)}\n`)
  }

  #json(answer: unknown): void {
    this.#options.out(`${JSON.stringify(answer, null, 2)}\n`)
  }
}

/** Columns that no row has a value for are left out. */
function tableOf(rows: readonly Row[]): string {
  const all = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const columns = all.filter((column) => rows.some((row) => textOf(row[column]) !== ''))
  const cells = [columns.map((column) => column.toUpperCase())]
  for (const row of rows) cells.push(columns.map((column) => textOf(row[column])))
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]!.length)))
  return cells
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index]!))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

function textOf(cell: Cell): string {
  if (cell === null || cell === undefined) return ''
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no'
  return clean(String(cell))
}

export const clean = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken away
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?')

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MachineFacts } from './machine.ts'
import type { Case } from './measure.ts'

export interface ScenarioRecord {
  readonly name: string
  readonly about: string
  /** Versions and settings of what it ran against; null: not installed. */
  readonly world: Readonly<Record<string, unknown>>
  readonly settings: Readonly<Record<string, unknown>>
  readonly cases: readonly Case[]
  readonly figures: unknown
  readonly faults: readonly string[]
}

export interface RunRecord {
  readonly startedAt: string
  readonly endedAt: string
  readonly machine: MachineFacts
  readonly scenarios: readonly ScenarioRecord[]
}

const folder = join(import.meta.dirname, '../results')
const filesPerDayMax = 1000

/** Writes `<date>-bench.json` and the page of the same name, numbered from the second of a day on. */
export async function writeRun(
  run: RunRecord,
  page: string,
): Promise<{ json: string; html: string }> {
  await mkdir(folder, { recursive: true })
  const date = run.startedAt.slice(0, 10)
  const text = textOf(run)
  for (let number = 1; number <= filesPerDayMax; number++) {
    const name = `${date}-bench${number === 1 ? '' : `-${number}`}`
    try {
      await writeFile(join(folder, `${name}.json`), text, { flag: 'wx' })
      await writeFile(join(folder, `${name}.html`), page)
      return { json: `bench/results/${name}.json`, html: `bench/results/${name}.html` }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  throw new Error(`${filesPerDayMax} results of one day in ${folder}`)
}

/** Throws for a file that holds no run. */
export async function readRun(path: string): Promise<RunRecord> {
  const run = JSON.parse(await readFile(path, 'utf8')) as Partial<RunRecord>
  if (!Array.isArray(run.scenarios)) throw new Error(`${path} holds no run of the benchmark`)
  return run as RunRecord
}

/** Six digits are more than any figure here deserves; what holds nothing deeper stands on one line. */
function textOf(results: unknown): string {
  const short = (_key: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value
  const text = JSON.stringify(results, short, 1)
  return `${text.replace(/\{[^{}[\]]*\}|\[[^{}[\]]*\]/g, (flat) => flat.replace(/\n\s*/g, ' '))}\n`
}

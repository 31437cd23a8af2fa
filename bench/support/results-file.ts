import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../results')
const filesPerDayMax = 1000

/** Writes `<date>-<scenario>.json`, numbered from the second of a day on; gives its name. */
export async function writeResults(scenario: string, results: unknown): Promise<string> {
  await mkdir(folder, { recursive: true })
  const date = new Date().toISOString().slice(0, 10)
  const text = textOf(results)
  for (let number = 1; number <= filesPerDayMax; number++) {
    const name = `${date}-${scenario}${number === 1 ? '' : `-${number}`}.json`
    try {
      await writeFile(join(folder, name), text, { flag: 'wx' })
      return name
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  throw new Error(`${filesPerDayMax} results of one day in ${folder}`)
}

/** Six digits are more than any figure here deserves; what holds nothing deeper stands on one line. */
function textOf(results: unknown): string {
  const short = (_key: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value
  const text = JSON.stringify(results, short, 1)
  return `${text.replace(/\{[^{}[\]]*\}|\[[^{}[\]]*\]/g, (flat) => flat.replace(/\n\s*/g, ' '))}\n`
}

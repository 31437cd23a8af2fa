// The order of test files: those that take long come first, so that no process is left alone with one at
// the end. By their size, as Vitest orders what it has not run yet, some of these come last.
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Half a minute and more, the longest first. */
const longFiles = [
  'prepared-in-sql',
  'succession',
  'workers',
  'process',
  'dashboard-sections',
  'dashboard-clicks',
  'dashboard-journeys',
  'tokens-outage',
  'embedded-postgres',
  'restarts',
  'key-replacement',
  'session-model',
  'prepared-model',
  'unread-replies',
  'endings-states',
  'endings',
]

export class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files)
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const at = longFiles.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
      return at < 0 ? longFiles.length : at
    }
    return others.toSorted((one, other) => placeOf(one) - placeOf(other))
  }
}

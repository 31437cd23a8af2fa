// Runs one kind of test (a vitest project) in a process of its own for test/run.ts, and sends it what
// came out. Vitest's own reporters leave out why a test was skipped.
import { relative, resolve } from 'node:path'
import { inspect, stripVTControlCharacters } from 'node:util'
import { startVitest, type TestCase } from 'vitest/node'

const root = resolve(import.meta.dirname, '../..')
/** A comparison of long texts would bury the others. */
const messageLinesMax = 6

export interface KindOutcome {
  readonly passed: number
  readonly failed: number
  /** Name and reason of what failed, faults outside of tests included. */
  readonly failures: readonly string[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
}

async function runKind(kind: string): Promise<KindOutcome> {
  const vitest = await startVitest('test', [], {
    config: resolve(import.meta.dirname, '../vitest.config.ts'),
    project: kind,
    run: true,
    watch: false,
  })
  const failures: string[] = []
  const skipped: { name: string; reason: string }[] = []
  let passed = 0
  for (const module of vitest.state.getTestModules()) {
    for (const test of module.children.allTests()) {
      const result = test.result()
      if (result.state === 'passed') passed += 1
      else if (result.state === 'failed') failures.push(`${nameOf(test)}${reasonOf(result)}`)
      else skipped.push({ name: nameOf(test), reason: noteOf(result) ?? 'no reason given' })
    }
    for (const error of module.errors()) {
      failures.push(`${module.relativeModuleId}: ${error.message.split('\n')[0]}`)
    }
    for (const suite of module.children.allSuites()) {
      for (const error of suite.errors()) failures.push(`${suite.fullName}: ${error.message}`)
    }
  }
  for (const error of vitest.state.getUnhandledErrors()) {
    failures.push(`outside of a test: ${textOf(error)}`)
  }
  await vitest.close()
  return { passed, failed: failures.length, failures, skipped }
}

/** Where it has crossed from another process it is no Error any more. */
function textOf(error: unknown): string {
  const message = (error as { readonly message?: unknown } | null)?.message
  return typeof message === 'string' ? message : inspect(error)
}

function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`
}

/** What a reader of the summary alone needs to find the fault: the message, and the line in the test. */
function reasonOf({ errors }: ReturnType<TestCase['result']>): string {
  const lines = (errors ?? []).flatMap(({ message, stacks }) => {
    const [place] = stacks ?? []
    const at = place === undefined ? [] : [`at ${relative(root, place.file)}:${place.line}`]
    return [...message.split('\n').slice(0, messageLinesMax), ...at]
  })
  return lines.map((line) => `\n    ${stripVTControlCharacters(line)}`).join('')
}

function noteOf(result: ReturnType<TestCase['result']>): string | undefined {
  return result.state === 'skipped' ? result.note : undefined
}

const kind = process.argv[2]
if (kind === undefined || process.send === undefined) {
  throw new Error('test/run.ts starts this with the name of a vitest project')
}
const outcome = await runKind(kind)
process.send(outcome, () => process.exit(outcome.failed === 0 ? 0 : 1))

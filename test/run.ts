// `npm test`: form, types, then each kind of test, and one summary. `npm test -- unit fuzz` runs only
// the steps that are named, `all-workers` only then. The last line is `N passed, N failed`.
import { fork, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import type { KindOutcome } from './support/run-kind.ts'

interface Step {
  readonly name: string
  readonly run: () => Promise<KindOutcome>
}

interface StepOutcome extends KindOutcome {
  readonly name: string
  readonly seconds: number
}

const root = resolve(import.meta.dirname, '..')
/** What runs in the browser has the browser's types. */
const browserModules = 'pooler/dashboard/public'
/** A guard against what never ends: the longest step takes six minutes where nobody else is at work. */
const stepTimeoutMs = 20 * 60_000
const kinds = [
  ...['unit', 'integration', 'fault', 'fuzz', 'conformance', 'streams', 'workers', 'tidy'],
  'all-workers',
]
/** Long, and most of it is in another step too. */
const onlyNamed = ['all-workers']

const steps: readonly Step[] = [
  { name: 'lint', run: () => runCheck('lint', 'biome', ['check', '.']) },
  { name: 'types', run: () => runCheck('types', 'tsc', ['--noEmit']) },
  { name: 'browser', run: () => runCheck('browser', 'tsc', ['--noEmit', '-p', browserModules]) },
  ...kinds.map((kind) => ({ name: kind, run: () => runKind(kind) })),
]

/** A program that is right or wrong as a whole counts as one test. */
function runCheck(name: string, program: string, args: readonly string[]): Promise<KindOutcome> {
  const file = resolve(root, 'node_modules/.bin', program)
  const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), stepTimeoutMs)
  return new Promise((done) => {
    child.once('error', (error) => done(failure(`${name}: ${error.message}`)))
    child.once('close', (code) => {
      clearTimeout(timer)
      if (code === 0) done({ passed: 1, failed: 0, failures: [], skipped: [] })
      else done(failure(`${name}: ${program} ended with ${code ?? 'a signal'}`))
    })
  })
}

function runKind(kind: string): Promise<KindOutcome> {
  const script = resolve(import.meta.dirname, 'support/run-kind.ts')
  const child = fork(script, [kind], { cwd: root })
  const timer = setTimeout(() => child.kill('SIGKILL'), stepTimeoutMs)
  return new Promise((done) => {
    let outcome: KindOutcome | null = null
    child.once('message', (message) => {
      outcome = message as KindOutcome
    })
    child.once('error', (error) => done(failure(`${kind}: ${error.message}`)))
    child.once('close', (code) => {
      clearTimeout(timer)
      done(outcome ?? failure(`${kind}: ended with ${code ?? 'a signal'} before it was done`))
    })
  })
}

function failure(line: string): KindOutcome {
  return { passed: 0, failed: 1, failures: [line], skipped: [] }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function summarize(outcomes: readonly StepOutcome[]): boolean {
  print('')
  for (const { name, passed, failed, skipped, seconds } of outcomes) {
    const counts = `${passed} passed, ${failed} failed, ${skipped.length} skipped`
    print(`${name.padEnd(12)} ${counts.padEnd(40)} ${seconds.toFixed(1)} s`)
  }
  for (const { name, failures } of outcomes) {
    for (const line of failures) print(`FAILED  ${name}: ${line}`)
  }
  const skipped = outcomes.flatMap((outcome) => outcome.skipped)
  for (const { name, reason } of skipped) print(`skipped ${name}: ${reason}`)
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0)
  const skippedPart = skipped.length === 0 ? '' : `, ${skipped.length} skipped`
  print(`${passed} passed, ${failed} failed${skippedPart}`)
  return failed === 0 && passed > 0
}

async function main(names: readonly string[]): Promise<boolean> {
  const unknown = names.filter((name) => !steps.some((step) => step.name === name))
  if (unknown.length > 0) {
    print(
      `no such step: ${unknown.join(', ')}; there are ${steps.map(({ name }) => name).join(', ')}`,
    )
    print('0 passed, 1 failed')
    return false
  }
  const outcomes: StepOutcome[] = []
  for (const { name, run } of steps) {
    if (names.length > 0 ? !names.includes(name) : onlyNamed.includes(name)) continue
    print(`\n== ${name}`)
    const startMs = performance.now()
    const outcome = await run()
    outcomes.push({ ...outcome, name, seconds: (performance.now() - startMs) / 1000 })
  }
  return summarize(outcomes)
}

process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1

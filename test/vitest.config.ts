// One project per kind of test; only those that meet a real Postgres start the shared one.
import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'
import { patienceMs } from './support/eventually.ts'
import { LongFilesFirst } from './support/long-files-first.ts'

// Processes of tests, and those that these start, compile the libraries once. Read when a process starts.
process.env.NODE_COMPILE_CACHE ??= resolve(import.meta.dirname, '../node_modules/.cache/compiled')

const postgresSetup = resolve(import.meta.dirname, 'support/shared-postgres-setup.ts')

/** What meets sockets most, once more with fast I/O off. */
const streamSuites = [
  'test/conformance/conversations.test.ts',
  'test/fault/**/*.test.ts',
  'test/integration/{failures,release,session-port,cancel}.test.ts',
]

/** What has to hold with several workers as with one, as far as it does not look into the one. */
const workerSuites = [
  'test/conformance/conversations.test.ts',
  'test/integration/prepared-model.test.ts',
]
const allWorkerSuites = [
  'test/conformance/**/*.test.ts',
  'test/integration/{cancel,endings,prepared,prepared-model,session-port,settings}.test.ts',
]
const twoWorkers = { TEST_WORKERS: '2' }

/**
 * Nothing that goes well takes long; what these end is taken for something that hangs, also on a machine
 * that stands still for half a minute. Longer than any wait in a test, so that its words are told.
 */
const testMsMax = 240_000

function kind(
  name: string,
  include: string | readonly string[],
  needsPostgres: boolean,
  env: Record<string, string> = {},
) {
  return {
    extends: true as const,
    test: {
      name,
      include: [include].flat(),
      env,
      testTimeout: testMsMax,
      hookTimeout: testMsMax,
      expect: { poll: { timeout: patienceMs } },
      globalSetup: needsPostgres ? [postgresSetup] : [],
    },
  }
}

export default defineConfig({
  root: resolve(import.meta.dirname, '..'),
  test: {
    pool: 'forks',
    // One more than the two processors that they are measured on: tests wait for much.
    maxWorkers: 3,
    sequence: { sequencer: LongFilesFirst },
    allowOnly: false,
    passWithNoTests: true,
    projects: [
      kind('unit', 'test/unit/**/*.test.ts', false),
      kind('integration', 'test/integration/**/*.test.ts', true),
      kind('fault', 'test/fault/**/*.test.ts', true),
      kind('fuzz', 'test/fuzz/**/*.test.ts', false),
      kind('conformance', 'test/conformance/**/*.test.ts', true),
      kind('streams', streamSuites, true, { TEST_FAST_IO: 'off' }),
      kind('workers', workerSuites, true, twoWorkers),
      kind('all-workers', allWorkerSuites, true, twoWorkers),
      kind('tidy', 'test/*.test.ts', false),
    ],
  },
})

// One project per kind of test; only those that meet a real Postgres start the shared one.
import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

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

function kind(
  name: string,
  include: string | readonly string[],
  timeoutMs: number,
  needsPostgres: boolean,
  env: Record<string, string> = {},
) {
  return {
    extends: true as const,
    test: {
      name,
      include: [include].flat(),
      env,
      testTimeout: timeoutMs,
      hookTimeout: Math.max(60_000, timeoutMs),
      globalSetup: needsPostgres ? [postgresSetup] : [],
    },
  }
}

export default defineConfig({
  root: resolve(import.meta.dirname, '..'),
  test: {
    pool: 'forks',
    maxWorkers: 2,
    allowOnly: false,
    passWithNoTests: true,
    projects: [
      kind('unit', 'test/unit/**/*.test.ts', 10_000, false),
      kind('integration', 'test/integration/**/*.test.ts', 60_000, true),
      kind('fault', 'test/fault/**/*.test.ts', 60_000, true),
      kind('fuzz', 'test/fuzz/**/*.test.ts', 120_000, false),
      kind('conformance', 'test/conformance/**/*.test.ts', 60_000, true),
      kind('streams', streamSuites, 60_000, true, { TEST_FAST_IO: 'off' }),
      kind('workers', workerSuites, 180_000, true, twoWorkers),
      kind('all-workers', allWorkerSuites, 180_000, true, twoWorkers),
      kind('tidy', 'test/*.test.ts', 60_000, false),
    ],
  },
})

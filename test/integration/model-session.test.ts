// Holds the model of a Postgres backend against a real one: the same random pipelines must get the
// same replies. Without this the tests that use the model as their oracle would prove nothing.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { modelTable } from '../support/model-statements.ts'
import { anySegmentation, drivePipeline } from '../support/pipeline-driver.ts'
import { generatePipeline, type PipelineFeatures } from '../support/pipeline-generator.ts'
import { sharedPostgres, uniqueName } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { runCancelRule, runReleaseRule } from '../support/release-rule.ts'
import { freshSeed, type SeededRandom, withSeed } from '../support/seeded-random.ts'
import { roundsMsMax, seededRounds } from '../support/seeded-rounds.ts'

const postgres = sharedPostgres()
const database = uniqueName('model')
const target = { port: postgres.port, host: postgres.host, user: postgres.superuser }

beforeAll(async () => {
  await postgres.createDatabase(database)
  await postgres.query(modelTable, [], database)
})
afterAll(() => postgres.dropDatabase(database))

async function conforms(random: SeededRandom, features: Partial<PipelineFeatures>) {
  const pipeline = generatePipeline(random, { client: 'c1', turns: 8, features })
  const figures = { turns: pipeline.turns.length }
  const client = await RawClient.loggedIn({ ...target, password: postgres.password, database })
  try {
    await drivePipeline(client, pipeline, { segmentation: anySegmentation(random) })
    if (pipeline.isFatal) return figures
    // Whatever came unasked shows now.
    await client.terminate()
    if (pipeline.turns.at(-1)?.isAtRest) expect(await client.readAll()).toEqual([])
    return figures
  } finally {
    client.close()
  }
}

const kinds: readonly [string, number, Partial<PipelineFeatures>][] = [
  ['answer random pipelines alike', 120, {}],
  ['answer queries inside of batches alike', 40, { queryInBatch: 12, copy: 1 }],
  [
    'answer settings, savepoints and names alike',
    40,
    { settings: 12, savepoints: 12, names: 12, discardAll: 4, copy: 0 },
  ],
  ['end the connection for the same faults, with the same last words', 40, { fatal: 4, copy: 8 }],
]

describe('model session and Postgres', () => {
  test.each(kinds)(
    '%s',
    async (name, rounds, features) => {
      const sums = await seededRounds(name, rounds, (random) => conforms(random, features))
      expect(sums.turns).toBeGreaterThan(0)
    },
    roundsMsMax(120),
  )

  test('many clients at once get what they are owed, however they leave', async () => {
    await withSeed(freshSeed(), async (random) => {
      const login = { ...target, password: postgres.password, database }
      const run = { target: login, random, clients: 6, rounds: 6, turns: 5 }
      const result = await runReleaseRule({ ...run, features: { fatal: 1 } })
      expect(result.pipelines).toBe(36)
    })
  })

  test('cancel requests at random moments hit only those they are meant for', async () => {
    await withSeed(freshSeed(), async (random) => {
      const login = { ...target, password: postgres.password, database }
      const run = { target: login, random, victims: 3, bystanders: 3, queries: 10, queryMs: 30 }
      const result = await runCancelRule(run)
      expect(result.cancelled).toBeGreaterThan(0)
    })
  })
})

// Random clients that name, use and drop statements on few shared servers, while their table uses:
// each is told what its own names stand for. SEED repeats a run; ROUNDS makes it as long as wanted.
import { expect, test } from 'vitest'
import { anySegmentation } from '../support/pipeline-driver.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { freshSeed, type SeededRandom, withSeed } from '../support/seeded-random.ts'
import { FleetClient, fleetTable } from '../support/statement-fleet.ts'

const rounds = Number(process.env.ROUNDS ?? 6)
const roundMsMax = 20_000

async function round(random: SeededRandom): Promise<{ uses: number; errors: number }> {
  const pooled = await PooledPostgres.start(sharedPostgres(), {
    poolSize: 1 + random.int(3),
    config: { serverPreparedStatementsMax: random.pick([1, 3, 500]) },
  })
  try {
    await pooled.postgres.query(fleetTable, undefined, pooled.database)
    await pooled.postgres.query(
      `alter table wide owner to "${pooled.role}"`,
      undefined,
      pooled.database,
    )
    const table = { confirmed: 1, started: 1 }
    const clients: FleetClient[] = []
    for (let number = 1; number <= 2 + random.int(5); number++) {
      const segmentation = anySegmentation(random)
      const client = await pooled.client('transaction', { segmentation })
      clients.push(new FleetClient(client, `c${number}`, random.fork(), table))
    }
    const runs = await Promise.allSettled(clients.map((client) => client.run(40)))
    for (const run of runs) if (run.status === 'rejected') throw run.reason
    const sum = (read: (client: FleetClient) => number) =>
      clients.reduce((all, client) => all + read(client), 0)
    return { uses: sum(({ uses }) => uses), errors: sum(({ errors }) => errors) }
  } finally {
    await pooled.stop()
  }
}

test(
  'clients are told what their own names stand for, and of changed tables where they must be',
  async () => {
    const seed = freshSeed()
    const sums = { uses: 0, errors: 0 }
    await withSeed(seed, async (random) => {
      for (let done = 0; done < rounds; done++) {
        const inner = random.int(0x1_0000_0000)
        const { uses, errors } = await withSeed(inner, round)
        sums.uses += uses
        sums.errors += errors
      }
    })
    console.log(`SEED=${seed}, ${rounds} rounds`, sums)
    expect(sums.uses).toBeGreaterThan(sums.errors)
  },
  rounds * roundMsMax,
)

// Random clients that name, use and drop statements on few shared servers, while their table uses:
// each is told what its own names stand for.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { anySegmentation } from '../support/pipeline-driver.ts'
import { PooledPostgres, type PostgresHome } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { roundsMsMax, seededRounds } from '../support/seeded-rounds.ts'
import { FleetClient, fleetTable } from '../support/statement-fleet.ts'

const postgres = sharedPostgres()
const rounds = 6

let home: PostgresHome
beforeAll(async () => {
  home = await PooledPostgres.makeHome(postgres)
})
afterAll(() => PooledPostgres.removeHome(postgres, home))

async function round(random: SeededRandom): Promise<{ uses: number; errors: number }> {
  const makeTable = `drop table if exists wide; ${fleetTable}; alter table wide owner to "${home.role}"`
  await postgres.query(makeTable, undefined, home.database)
  const pooled = await PooledPostgres.start(postgres, {
    home,
    poolSize: 1 + random.int(3),
    config: { serverPreparedStatementsMax: random.pick([1, 3, 500]) },
  })
  try {
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
    const sums = await seededRounds('prepared model', rounds, round)
    expect(sums.uses).toBeGreaterThan(sums.errors)
  },
  roundsMsMax(rounds),
)

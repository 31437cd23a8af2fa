// What programs on `pg` need each time: a pool or a client that is closed at the end, and a failure as
// an application sees it.
import { Client, type ClientConfig, Pool } from 'pg'
import type { WayAddress } from './ways.ts'

export async function withPool<Told>(
  address: WayAddress,
  use: (pool: Pool) => Promise<Told>,
): Promise<Told> {
  const pool = new Pool({ ...address, max: 4 })
  try {
    return await use(pool)
  } finally {
    await pool.end()
  }
}

export async function withClient<Told>(
  config: ClientConfig,
  use: (client: Client) => Promise<Told>,
): Promise<Told> {
  const client = new Client(config)
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/** What an application sees of a failure. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    const { code, severity, message, position, detail, hint } = error as Record<string, unknown>
    return { code, severity, message, position, detail, hint }
  }
  throw new Error('it did not fail')
}

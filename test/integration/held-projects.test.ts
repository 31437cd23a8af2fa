// A project with pools is kept in memory, whoever else is asked for, so that its changes reach them.
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

test('from its first pool until the last one is gone', async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { config: { poolIdleTimeoutMs: 300 } })
  const { heldProjects, tenant } = pooled.pooler
  expect(heldProjects.size).toBe(0)
  const clients = [await pooled.client('transaction'), await pooled.client('session')]
  expect([...heldProjects]).toEqual([tenant.ref])
  clients[0]?.close()
  await eventually(() => [...pooled.pooler.plane.pools.entriesOf(tenant.ref)].length === 1)
  expect([...heldProjects]).toEqual([tenant.ref])
  clients[1]?.close()
  await eventually(() => heldProjects.size === 0)
  expect(await pooled.value(await pooled.client('transaction'), 'select 1')).toBe('1')
  expect([...heldProjects]).toEqual([tenant.ref])
})

// People may hold a share of a role's servers. What is left is the applications', at once.
import { expect, test } from 'vitest'
import { EndingsSetup } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { rowsOf } from '../support/raw-replies.ts'

const setup = new EndingsSetup()

test('an application takes a free server past a person who waits for the share of people', async () => {
  const { pooler, project } = setup
  const users = (await pooler.pooler.control.tenants.findDetails(project.ref))?.users ?? []
  await pooler.change(project, { users: users.map((user) => ({ ...user, poolSize: 2 })) })
  const [holder, waiting] = [await setup.enter(), await setup.enter()]
  const app = await setup.enterAsApp()
  await holder.begin()
  await app.query('SELECT 1')
  await app.untilReady()
  await waiting.client.query("SELECT 'at last'")
  const waiters = () =>
    [...pooler.pooler.data.pools.entries()].reduce((sum, { pool }) => sum + pool.waiters, 0)
  await eventually(() => expect(waiters()).toBe(1))
  for (const round of ['1', '2', '3']) {
    await app.query(`SELECT ${round}`)
    expect(rowsOf(await app.untilReady())).toEqual([[round]])
  }
  expect(waiters()).toBe(1)
  await holder.client.query('COMMIT')
  expect(rowsOf(await waiting.client.untilReady())).toEqual([['at last']])
})

// Pools that figures cannot tell apart are one in them, and what clients do is counted while they are
// there and when they have gone: the same to Prometheus and to the dashboard.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { figuresHereOf, sumFigures } from '../../pooler/project-figures-of.ts'
import { parsePrometheusText } from '../support/prometheus-text.ts'
import { RawClient } from '../support/raw-client.ts'
import { poolerDomain, RunningPooler } from '../support/running-pooler.ts'

let pooler: RunningPooler
beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler.stop())

type Project = Awaited<ReturnType<RunningPooler['project']>>

const targetOf = ({ app, database }: Project) =>
  ({ user: app.role, password: app.password, database }) as const

const loginAs = (project: Project, mode: 'transaction' | 'session') => {
  const target = targetOf(project)
  return RawClient.loggedIn({
    ...target,
    port: pooler.portOf(mode),
    user: `${target.user}.${project.ref}`,
  })
}

const loginDirect = (project: Project) =>
  RawClient.loggedIn({
    ...targetOf(project),
    port: pooler.portOf('session'),
    tls: 'request',
    serverName: `db.${project.ref}.${poolerDomain}`,
  })

async function run(client: RawClient, ...queries: string[]): Promise<void> {
  for (const query of queries) {
    await client.query(query)
    await client.untilReady()
  }
}

/** Values of one family, of one project; the reader refuses a series that is there twice. */
async function valuesOf({ ref }: Project, family: string, state?: string): Promise<number[]> {
  const text = await (await fetch(`${pooler.apiUrl}/metrics`)).text()
  return (parsePrometheusText(text).get(family)?.samples ?? [])
    .filter(({ labels }) => labels.tenant === ref && labels.state === state)
    .map(({ value }) => value)
}

/** Queries as Prometheus and the dashboard have them. */
async function queriesOf(project: Project): Promise<number[]> {
  const { data } = pooler.pooler
  const figures = sumFigures([figuresHereOf(project.ref, data)])
  return [...(await valuesOf(project, 'pooler_queries_total')), figures.queries]
}

const selects = (count: number) => Array<string>(count).fill('select 1')

test('direct clients of one role are one series each, with what those did that have gone', async () => {
  const project = await pooler.project()
  const [one, two] = [await loginDirect(project), await loginDirect(project)]
  expect(await valuesOf(project, 'pooler_clients', 'joined')).toEqual([2])
  expect(await valuesOf(project, 'pooler_servers', 'joined')).toEqual([2])
  expect(await valuesOf(project, 'pooler_servers_max')).toEqual([2])
  await run(one, ...selects(20))
  await run(two, ...selects(3))
  expect(await queriesOf(project)).toEqual([23, 23])
  one.close()
  two.close()
  await pooler.settled()
  expect(await valuesOf(project, 'pooler_clients', 'joined')).toEqual([0])
  expect(await queriesOf(project)).toEqual([23, 23])
  const next = await loginDirect(project)
  await run(next, ...selects(2))
  expect(await queriesOf(project)).toEqual([25, 25])
  next.close()
})

test('queries of a client in session mode are counted while it is there, and once', async () => {
  const project = await pooler.project()
  const client = await loginAs(project, 'session')
  await run(client, ...selects(50), 'begin', 'select 1')
  expect(await queriesOf(project)).toEqual([52, 52])
  expect(await valuesOf(project, 'pooler_transactions_total')).toEqual([50])
  await run(client, 'commit')
  client.close()
  await pooler.settled()
  expect(await queriesOf(project)).toEqual([53, 53])
  expect(await valuesOf(project, 'pooler_transactions_total')).toEqual([51])
})

test('queries of a transaction that is open are counted, and once', async () => {
  const project = await pooler.project()
  const client = await loginAs(project, 'transaction')
  await run(client, 'select 1', 'begin', 'select 1')
  expect(await queriesOf(project)).toEqual([3, 3])
  await run(client, 'commit')
  expect(await queriesOf(project)).toEqual([4, 4])
  expect(await valuesOf(project, 'pooler_transactions_total')).toEqual([2])
  client.close()
})

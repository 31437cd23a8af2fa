// The release rule as a whole: random clients through the data plane onto a model of Postgres that
// proves whose messages reach which server.
import { afterEach, expect, test } from 'vitest'
import type { Config } from '../../pooler/config/settings.ts'
import { giveBackSql, lendSql } from '../../pooler/relay/lent-settings.ts'
import { BareDataPlane } from '../support/bare-data-plane.ts'
import { eventually } from '../support/eventually.ts'
import { ModelServer, type ModelServerOptions } from '../support/model-server.ts'
import type { StatementReader } from '../support/model-statements.ts'
import { type PipelineFeatures, transactionMode } from '../support/pipeline-generator.ts'
import { runCancelRule, runReleaseRule } from '../support/release-rule.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { roundsMsMax, seededRounds } from '../support/seeded-rounds.ts'
import { tenantNamed } from '../support/some-tenant.ts'

type Mode = 'transaction' | 'session'
const modes = ['transaction', 'session'] as const

const rounds = 12

const closers: (() => Promise<void>)[] = []
const closeAll = async () => {
  for (const close of closers.splice(0).reverse()) await close()
}
afterEach(closeAll)

/**
 * What the data plane says for itself. Behind a transaction that may have left something it asks, and
 * nothing is left; around a Parse it sets how texts are read, and to the model all settings read alike.
 */
const ofOurs: StatementReader = (text) => {
  const answer = { kind: 'answer', rows: [], commandTag: 'SELECT 0' } as const
  if (text.startsWith('WITH asked')) {
    return { ...answer, parameters: 3, columns: ['kind', 'name', 'value', 'source'] }
  }
  if (text === 'DISCARD SEQUENCES') {
    return { ...answer, parameters: 0, columns: null, commandTag: text }
  }
  if (text === lendSql.trim()) return { ...answer, parameters: 2, columns: [] }
  return text === giveBackSql.trim() ? { ...answer, parameters: 1, columns: [] } : null
}

class World {
  readonly poolSize: number
  readonly model: ModelServer
  readonly pooler: BareDataPlane

  private constructor(poolSize: number, model: ModelServer, pooler: BareDataPlane) {
    this.poolSize = poolSize
    this.model = model
    this.pooler = pooler
  }

  static async start(
    poolSize: number,
    options: ModelServerOptions,
    config: Partial<Config> = {},
  ): Promise<World> {
    const model = await ModelServer.start({
      ...options,
      connectionsMax: poolSize,
      readOther: ofOurs,
    })
    closers.push(() => model.stop())
    const upstream = { dbHost: '127.0.0.1', dbPort: model.port, defaultPoolSize: poolSize }
    // Replies are compared: no NOTICE where the machine stands still for seconds.
    const quiet = { queryWaitNotifyMs: 0, ...config }
    const tenant = tenantNamed('project', upstream)
    const pooler = await BareDataPlane.start({ tenant, config: quiet })
    closers.push(() => pooler.stop())
    return new World(poolSize, model, pooler)
  }

  target(mode: Mode) {
    const port = mode === 'transaction' ? this.pooler.transactionPort : this.pooler.sessionPort
    // A session waits until another one ends.
    return { port, user: this.pooler.userOf('app') }
  }

  /** Nothing crossed, nothing is left of any client, and no server is left in the middle of anything. */
  async expectClean(): Promise<void> {
    const { pooler, model, poolSize } = this
    await pooler.settled()
    model.auditor.assertClean()
    expect(pooler.plane.clientCounts.of('project')).toBe(0)
    expect(pooler.plane.cancelKeys.size).toBe(0)
    for (const { pool, clients } of pooler.plane.pools.entries()) {
      expect(clients.size).toBe(0)
      expect(pool.waiters).toBe(0)
      await eventually(() => pool.slots === pool.servers.size)
      expect(pool.slots).toBeLessThanOrEqual(poolSize)
      await eventually(() => model.auditor.openConnections === pool.slots)
    }
    const isAtRest = () =>
      model.connections.every(({ isQuiet, status }) => isQuiet && status === 'I')
    await eventually(isAtRest)
  }
}

const featuresOf = (mode: Mode, random: SeededRandom): Partial<PipelineFeatures> => ({
  ...(mode === 'session' ? {} : transactionMode.features),
  names: random.pick([2, 20]),
  reuse: random.pick([1, 6]),
})

test.each(modes)(
  '%s port: all replies are the own ones, no server is shared, dirty or too many',
  async (mode) => {
    const sums = await seededRounds(`${mode} release rule`, rounds, async (random) => {
      const behaviour = {
        random: random.fork(),
        pieceBytesMax: random.pick([0, 3, 40]),
        lateChance: random.pick([0, 0.2]),
        cancelLateMs: 4,
      }
      // With few statements for each server they are closed and learnt again all the time.
      const config = { serverPreparedStatementsMax: random.pick([1, 3, 500]) }
      const it = await World.start(1 + random.int(4), behaviour, config)
      const result = await runReleaseRule({
        settingNames: ['application_name'],
        target: it.target(mode),
        random,
        clients: 2 + random.int(10),
        rounds: 3,
        turns: 5,
        features: featuresOf(mode, random),
        bringsStatements: mode === 'transaction',
      })
      await it.expectClean()
      const { handovers, peakConnections } = it.model.auditor
      await closeAll()
      const fullPools = peakConnections === it.poolSize ? 1 : 0
      return { rounds: 1, pipelines: result.pipelines, handovers, fullPools }
    })
    if (sums.rounds < rounds) return
    expect(sums.handovers).toBeGreaterThan(sums.rounds)
    expect(sums.fullPools * 2).toBeGreaterThan(sums.rounds)
  },
  roundsMsMax(rounds),
)

test.each(modes)(
  '%s port: a cancel hits its own client or nobody',
  async (mode) => {
    const cancels = async (random: SeededRandom) => {
      const victims = 1 + random.int(3)
      const bystanders = 1 + random.int(3)
      const it = await World.start(1 + random.int(mode === 'transaction' ? 4 : 2), {
        random: random.fork(),
        cancelLateMs: random.pick([0, 3, 15]),
      })
      const result = await runCancelRule({
        target: it.target(mode),
        random,
        victims,
        bystanders,
        queries: 8,
        queryMs: 12,
      })
      await it.expectClean()
      for (const owner of it.model.auditor.cancelled) {
        const number = Number(owner?.slice(1) ?? 0)
        expect(number, `${owner} was cancelled`).toBeGreaterThan(0)
        expect(number).toBeLessThanOrEqual(victims)
      }
      await closeAll()
      return { rounds: 1, requests: result.requests, cancelled: result.cancelled }
    }
    const sums = await seededRounds(`${mode} cancels`, rounds, cancels)
    if (sums.rounds < rounds) return
    expect(sums.cancelled).toBeGreaterThan(0)
    expect(sums.requests).toBeGreaterThan(sums.cancelled)
  },
  roundsMsMax(rounds),
)

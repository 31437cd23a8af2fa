// Many clients at once against one address, Postgres itself or what stands in front of it: each
// gets exactly the replies that it is owed for what it sent, whoever else was on the same servers.

import { setTimeout as delay } from 'node:timers/promises'
import { sql } from './model-statements.ts'
import { anySegmentation, type DriveOptions, driveAndLeave } from './pipeline-driver.ts'
import { generatePipeline, type PipelineFeatures } from './pipeline-generator.ts'
import { RawClient, type RawClientOptions } from './raw-client.ts'
import type { LoginOptions } from './raw-login.ts'
import type * as raw from './raw-messages.ts'
import { errorFields, rowsOf } from './raw-replies.ts'
import type { SeededRandom } from './seeded-random.ts'

export type Target = RawClientOptions & LoginOptions

export interface ReleaseRuleOptions extends DriveOptions {
  readonly target: Target
  readonly random: SeededRandom
  /** Clients at the same time. */
  readonly clients: number
  /** Connections that each client makes one after another, each with a pipeline of its own. */
  readonly rounds: number
  readonly turns: number
  readonly features?: Partial<PipelineFeatures>
  readonly settingNames?: readonly string[]
  /** Only for the names in tags: the first client is `c<firstClient>`. */
  readonly firstClient?: number
}

export interface ReleaseRuleResult {
  readonly pipelines: number
  readonly replies: number
  /** How often each way of leaving was taken. */
  readonly leavings: Record<string, number>
}

/** Throws at the first client that gets another reply than it is owed. */
export async function runReleaseRule(options: ReleaseRuleOptions): Promise<ReleaseRuleResult> {
  const { clients, rounds, firstClient = 1 } = options
  const result = { pipelines: 0, replies: 0, leavings: {} as Record<string, number> }
  const runClient = async (number: number, random: SeededRandom) => {
    for (let round = 0; round < rounds; round += 1) {
      const pipeline = generatePipeline(random, { ...options, client: `c${number}` })
      const leaving = random.weighted({
        terminate: 4,
        terminateAtOnce: 2,
        fin: 2,
        reset: 1,
        cut: 3,
      })
      const client = await RawClient.loggedIn(options.target)
      try {
        const segmentation = options.segmentation ?? anySegmentation(random)
        await driveAndLeave(client, pipeline, leaving, random, { ...options, segmentation })
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        throw new Error(`client c${number}, round ${round + 1}, leaving by ${leaving}: ${text}`)
      } finally {
        client.close()
      }
      result.pipelines += 1
      result.replies += client.received.length
      result.leavings[leaving] = (result.leavings[leaving] ?? 0) + 1
    }
  }
  const randoms = Array.from({ length: clients }, () => options.random.fork())
  await allOf(randoms.map((random, index) => runClient(firstClient + index, random)))
  return result
}

export interface CancelRuleOptions {
  readonly target: Target
  readonly random: SeededRandom
  /** Clients whose queries are cancelled at random moments. */
  readonly victims: number
  /** Clients that nobody cancels. */
  readonly bystanders: number
  /** Queries of each client. */
  readonly queries: number
  /** Length of a query, up to. */
  readonly queryMs: number
}

export interface CancelRuleResult {
  readonly requests: number
  /** Queries of victims that ended with 57014. */
  readonly cancelled: number
}

/**
 * Clients run short queries; cancel requests with the keys of some of them come at any moment, also
 * while they are idle. Throws when one hits a client that it was not meant for, or when a client
 * gets another answer than its own row or 57014.
 */
export async function runCancelRule(options: CancelRuleOptions): Promise<CancelRuleResult> {
  const { target, random, victims, bystanders } = options
  const result = { requests: 0, cancelled: 0 }
  const runClient = async (number: number, isVictim: boolean, chance: SeededRandom) => {
    const client = await RawClient.connect(target)
    const { processId, secret } = await client.login(target)
    let isOver = false
    const cancelNow = async () => {
      while (!isOver) {
        await delay(chance.int(options.queryMs * 2))
        result.requests += 1
        await client.cancel(processId, secret)
      }
    }
    const cancelling = isVictim ? cancelNow() : Promise.resolve()
    try {
      for (let query = 1; query <= options.queries; query += 1) {
        const tag = `c${number}.${query}`
        await client.query(sql.sleep(tag, chance.int(options.queryMs) / 1000))
        const wasCancelled = isCancelled(await client.untilReady(), tag)
        if (wasCancelled && !isVictim) throw new Error(`c${number} was cancelled by another's key`)
        if (wasCancelled) result.cancelled += 1
        if (chance.chance(0.3)) await delay(chance.int(options.queryMs))
      }
    } finally {
      isOver = true
      await cancelling
      client.close()
    }
  }
  const all = Array.from({ length: victims + bystanders }, (_, index) =>
    runClient(index + 1, index < victims, random.fork()),
  )
  await allOf(all)
  return result
}

/** Waits for all, then throws what the first of them threw: no client runs on behind a failed test. */
async function allOf(runs: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(runs)
  const failed = outcomes.find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}

/** True for 57014, false for the row of this tag; throws for all else. */
function isCancelled(replies: raw.RawMessage[], tag: string): boolean {
  const error = replies.find(({ type }) => type === 'E')
  const state = error === undefined ? null : errorFields(error.body).C
  if (state === '57014') return true
  const [row] = rowsOf(replies)
  if (error !== undefined || row?.[0] !== tag) {
    throw new Error(`query ${tag} got the row ${row?.join()} and the error ${state}`)
  }
  return false
}

// All that a scenario runs against, started together and ended together: Postgres and the poolers
// in front of it. Each scenario gets a fresh one, so that none measures what another left behind.
import { resolve } from 'node:path'
import { connectionShares } from './connection-shares.ts'
import { type LatchkeyRun, ownFolder, startLatchkey } from './latchkey.ts'
import { commitOf } from './machine.ts'
import { startPlainProxy } from './plain-proxy.ts'
import { findPoolers, poolers, startPooler } from './poolers/found-poolers.ts'
import { BenchPostgres } from './postgres.ts'
import type { Target } from './target.ts'

export interface WorldOptions {
  /** Of a Postgres to measure against, not by one of the run's own; null: an embedded one. */
  readonly databaseUrl: string | null
  /** False: Latchkey alone. */
  readonly isCompared: boolean
  readonly poolSize: number
  /** Another checkout of Latchkey to be measured beside this one; null: none. */
  readonly against: string | null
  /** Where Latchkey writes its processor profile when it ends; null: nowhere. */
  readonly profileFolder: string | null
  /** Arguments of Node for Latchkey's process. */
  readonly nodeArgs: readonly string[]
  /** Between Postgres and whoever talks to it, in each direction; 0: none. */
  readonly delayMs: number
  /** A proxy that does nothing but pass bytes, as a further yardstick. */
  readonly hasPlainProxy: boolean
  /** Latchkey once more with so many workers; null: not. */
  readonly workers: number | null
}

export interface World {
  readonly postgres: BenchPostgres
  readonly latchkey: LatchkeyRun
  /** Those of other makers, without Latchkey. */
  readonly others: readonly Target[]
  /** All that are compared. */
  readonly targets: readonly Target[]
  /** Of each part what decides; of one that is left out why. */
  readonly settings: Readonly<Record<string, object | string>>
  stop(): Promise<void>
}

/** Of Latchkey itself (its metadata) and of this run. */
const ownConnections = 20

export async function startWorld(options: WorldOptions): Promise<World> {
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each()
  }
  try {
    const postgres = await BenchPostgres.start(options.databaseUrl)
    stops.push(() => postgres.stop())
    const { poolSize, profileFolder, delayMs, isCompared } = options
    const far = delayMs === 0 ? null : await startPlainProxy(postgres, delayMs)
    if (far !== null) stops.push(() => far.service.stop())
    const upstream = far?.target.transaction ?? postgres.address()
    const against = isCompared ? options.against : null
    const workers = isCompared ? options.workers : null
    const found = isCompared ? await findPoolers(process.env) : []
    const { serversMax } = connectionShares({
      free: postgres.facts.freeConnections,
      poolSize,
      pools: found.length + [against, workers, ownFolder].filter((it) => it !== null).length,
      own: ownConnections,
    })
    const others: Target[] = []
    const settings: Record<string, object | string> = {}
    for (const { name } of isCompared ? poolers : []) settings[name] = 'not found, left out'
    for (const one of found) {
      const { name } = one.pooler
      try {
        const run = await startPooler(one, { postgres, upstream, poolSize, serversMax })
        stops.push(() => run.service.stop())
        others.push(run.target)
        settings[name] = run.settings
      } catch (error) {
        settings[name] = `${one.file} does not come up, left out: ${(error as Error).message}`
      }
    }
    const start = async (
      name: string,
      folder: string,
      nodeArgs: readonly string[],
      workers = 1,
    ) => {
      const options = { name, folder, poolSize, nodeArgs, upstream, workers }
      const run = await startLatchkey(postgres, options)
      stops.push(() => run.service.stop())
      return run
    }
    const plain = isCompared && options.hasPlainProxy ? await startPlainProxy(postgres) : null
    if (plain !== null) stops.push(() => plain.service.stop())
    const other = against === null ? null : await start('against', resolve(against), [])
    const several =
      workers === null ? null : await start(`${workers} workers`, ownFolder, [], workers)
    const nodeArgs = [...options.nodeArgs, ...profileArgs(profileFolder)]
    const latchkey = await start('latchkey', ownFolder, nodeArgs)
    const direct = {
      name: 'direct',
      pid: null,
      lacks: { tls: 'Postgres is asked for none' },
      clientsMax: serversMax,
      transaction: upstream,
    }
    const rest = [plain, other, several].flatMap((it) => (it === null ? [] : [it.target]))
    return {
      postgres,
      latchkey,
      others,
      targets: [direct, ...others, ...rest, latchkey.target],
      settings: {
        postgres: postgres.facts.settings,
        ...settings,
        latchkey: latchkey.settings,
        ...(against !== null && { against: await commitOf(resolve(against)) }),
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

const profileArgs = (folder: string | null): string[] =>
  folder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(folder)}`]

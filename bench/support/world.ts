// All that a scenario runs against, started together and ended together: Postgres and the poolers
// in front of it. Each scenario gets a fresh one, so that none measures what another left behind.
import { resolve } from 'node:path'
import { type LatchkeyRun, ownFolder, startLatchkey } from './latchkey.ts'
import { commitOf } from './machine.ts'
import { hasPreparedIn, type PgBouncerRun, pgBouncerVersion, startPgBouncer } from './pgbouncer.ts'
import { startPlainProxy } from './plain-proxy.ts'
import { BenchPostgres, postgresSettings } from './postgres.ts'
import type { Target } from './target.ts'

export interface WorldOptions {
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
  /** Null where it is not installed. */
  readonly pgbouncer: PgBouncerRun | null
  /** In the order in which a round takes them. */
  readonly targets: readonly Target[]
  readonly settings: Readonly<Record<string, unknown>>
  stop(): Promise<void>
}

export async function startWorld(options: WorldOptions): Promise<World> {
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each()
  }
  try {
    const postgres = await BenchPostgres.start()
    stops.push(() => postgres.stop())
    const { poolSize, profileFolder, delayMs } = options
    const far = delayMs === 0 ? null : await startPlainProxy(postgres, delayMs)
    if (far !== null) stops.push(() => far.service.stop())
    const upstream = far?.target.transaction ?? postgres.address()
    const against = options.isCompared ? options.against : null
    const version = options.isCompared ? await pgBouncerVersion() : null
    const pgbouncer =
      version === null
        ? null
        : await startPgBouncer(postgres, poolSize, hasPreparedIn(version), upstream.port)
    if (pgbouncer !== null) stops.push(() => pgbouncer.service.stop())
    const start = async (
      name: string,
      folder: string,
      nodeArgs: readonly string[],
      workers = 1,
    ) => {
      const run = await startLatchkey(postgres, {
        name,
        folder,
        poolSize,
        nodeArgs,
        workers,
        upstreamPort: upstream.port,
      })
      stops.push(() => run.service.stop())
      return run
    }
    const plain =
      options.isCompared && options.hasPlainProxy ? await startPlainProxy(postgres) : null
    if (plain !== null) stops.push(() => plain.service.stop())
    const other = against === null ? null : await start('against', resolve(against), [])
    const workers = options.isCompared ? options.workers : null
    const several =
      workers === null ? null : await start(`${workers} workers`, ownFolder, [], workers)
    const nodeArgs = [...options.nodeArgs, ...profileArgs(profileFolder)]
    const latchkey = await start('latchkey', ownFolder, nodeArgs)
    return {
      postgres,
      latchkey,
      pgbouncer,
      targets: [
        {
          name: 'direct',
          pid: null,
          hasPrepared: true,
          transaction: upstream,
          session: upstream,
        },
        ...[pgbouncer, plain, other, several].flatMap((it) => (it === null ? [] : [it.target])),
        latchkey.target,
      ],
      settings: {
        postgres: { version: postgres.version, ...postgresSettings },
        ...(options.isCompared && { pgbouncer: pgbouncer && { version, ...pgbouncer.settings } }),
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

import type { Case } from './measure.ts'
import type { World } from './world.ts'

export interface ScenarioOptions {
  readonly rounds: number
  /** Of one round, or of the whole where a scenario has no rounds; null: the scenario's own. */
  readonly seconds: number | null
  readonly clients: readonly number[]
  readonly protocols: readonly string[]
  readonly seed: number
  /** Everything in a small way, to see that it works. */
  readonly isQuick: boolean
  readonly say: (line: string) => void
  /** A case is done: its table is printed. */
  readonly onCase: (done: Case) => void
}

export interface ScenarioResult {
  /** What the figures depend on, beyond the world's own settings. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Figures in the terms that all scenarios share. */
  readonly cases?: readonly Case[]
  /** Further raw figures, as they go into the JSON file. */
  readonly figures?: unknown
  /** For people. */
  readonly text?: string
  /** What must not have happened; the run fails with it. */
  readonly faults: readonly string[]
}

export interface Scenario {
  readonly name: string
  /** The question it answers, in one sentence. */
  readonly about: string
  /** Other poolers, and the other checkout where one is given, are wanted beside Latchkey. */
  readonly isCompared: boolean
  /** Arguments of Node for Latchkey's process. */
  readonly nodeArgs?: readonly string[]
  /** Put between Postgres and whoever talks to it, in each direction. */
  readonly delayMs?: number
  /** It counts what is there, and needs a world that nobody used before it. */
  readonly isAlone?: boolean
  /** What a given Postgres has to allow: that connections of others are ended; or that it is restarted,
   *  which only the run's own may be. */
  readonly needsPostgres?: 'superuser' | 'own'
  /** Left out of a run that names none. */
  readonly isOnlyByName?: boolean
  run(world: World, options: ScenarioOptions): Promise<ScenarioResult>
}

/**
 * A process that has just started runs code that is not compiled yet: Latchkey needs some hundred
 * thousand transactions, or ten thousand logins, to be as it is in use. Quickly: nothing of the kind,
 * where `quickSeconds` does not ask for it.
 */
export const warmUpSecondsOf = (
  { isQuick }: ScenarioOptions,
  isFirst: boolean,
  quickSeconds = 0,
): number => {
  if (isQuick) return isFirst ? quickSeconds : 0
  return isFirst ? 15 : 6
}

export const secondsOf = (options: ScenarioOptions, usual: number): number =>
  options.seconds ?? (options.isQuick ? 1 : usual)

import type { World } from './world.ts'

export interface ScenarioOptions {
  readonly rounds: number
  /** Of one round, or of the whole where a scenario has no rounds; null: the scenario's own. */
  readonly seconds: number | null
  readonly clients: readonly number[]
  readonly protocols: readonly string[]
  readonly seed: number
  readonly say: (line: string) => void
}

export interface ScenarioResult {
  /** What the figures depend on, beyond the world's own settings. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Raw figures, as they go into the JSON file. */
  readonly figures: unknown
  /** For people. */
  readonly text: string
  /** What must not have happened; the run fails with it. */
  readonly faults: readonly string[]
}

export interface Scenario {
  readonly name: string
  readonly about: string
  /** PgBouncer, and the other checkout where one is given, are wanted beside Latchkey. */
  readonly isCompared: boolean
  /** Arguments of Node for Latchkey's process. */
  readonly nodeArgs?: readonly string[]
  run(world: World, options: ScenarioOptions): Promise<ScenarioResult>
}

// Clients that connect, ask once and leave, as functions without a pool of their own do.
import { faultsOf, latencies } from '../support/measure.ts'
import { runCase, type Turn } from '../support/rounds.ts'
import {
  type Scenario,
  type ScenarioResult,
  secondsOf,
  warmUpSecondsOf,
} from '../support/scenario.ts'
import { ableTargets, type Need, type Target } from '../support/target.ts'
import { WireClient } from '../support/wire-client.ts'

export const lanes = 16

export const churn: Scenario = {
  name: 'churn',
  about: 'How many clients a second can connect by SCRAM, ask once and leave, plain and by TLS?',
  isCompared: true,
  async run(world, options): Promise<ScenarioResult> {
    const seconds = secondsOf(options, 3)
    const cases = []
    for (const isTls of [false, true]) {
      const name = `churn, ${isTls ? 'TLS' : 'plain'}`
      const needs: Need[] = isTls ? ['scram', 'tls'] : ['scram']
      const done = await runCase(world, {
        name,
        unit: 'logins',
        rounds: options.rounds,
        seed: options.seed,
        targets: ableTargets(world.targets, { by: name, needs, clients: lanes }, options.say),
        seconds,
        warmUpSeconds: warmUpSecondsOf(options, true, 1),
        turn: (target, turnSeconds) => comeAndGo(target, isTls, turnSeconds),
      })
      options.onCase(done)
      cases.push(done)
    }
    return { settings: { seconds, lanes }, cases, faults: cases.flatMap(faultsOf) }
  },
}

export async function comeAndGo(target: Target, isTls: boolean, seconds: number): Promise<Turn> {
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  const took: number[] = []
  let errors = 0
  let firstError: string | null = null
  const lane = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const fromMs = performance.now()
      try {
        const client = await WireClient.open(target.transaction, isTls)
        await client.query('SELECT 1')
        await client.close()
        took.push(performance.now() - fromMs)
      } catch (error) {
        errors++
        firstError ??= String(error)
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return {
    work: took.length,
    seconds: (performance.now() - startMs) / 1000,
    latencies: latencies(Float64Array.from(took)),
    errors,
    firstError,
  }
}

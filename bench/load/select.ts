// pgbench -S: one small read in a transaction of its own, where what a pooler costs shows most.
import { faultsOf } from '../support/measure.ts'
import { pgbenchTurn } from '../support/pgbench-turn.ts'
import { runCase } from '../support/rounds.ts'
import {
  type Scenario,
  type ScenarioResult,
  secondsOf,
  warmUpSecondsOf,
} from '../support/scenario.ts'
import { ableTargets } from '../support/target.ts'

/** pgbench's seconds begin before it logs in, one client after the other. */
const loginSeconds = (clients: number): number => Math.round(clients / clientsInSecond)
const clientsInSecond = 80

export const select: Scenario = {
  name: 'select',
  about: 'What does one small read cost, by protocol and number of clients? (pgbench -S)',
  isCompared: true,
  async run(world, options): Promise<ScenarioResult> {
    const seconds = secondsOf(options, 2)
    const cases = []
    for (const protocol of options.protocols) {
      for (const clients of options.clients) {
        const name = `${protocol}, ${clients} clients`
        const needs = protocol === 'prepared' ? (['prepared'] as const) : []
        const targets = ableTargets(world.targets, { by: name, needs, clients }, options.say)
        const args = ['-S', '-n', '-M', protocol, '-c', `${clients}`, '-j', '1']
        const done = await runCase(world, {
          name,
          unit: 'transactions',
          rounds: options.rounds,
          seed: options.seed,
          targets,
          seconds,
          warmUpSeconds: warmUpSecondsOf(options, cases.length === 0, 3),
          turn: (target, turnSeconds) =>
            pgbenchTurn(target.transaction, [
              ...args,
              '-T',
              `${turnSeconds + loginSeconds(clients)}`,
            ]),
        })
        options.onCase(done)
        cases.push(done)
      }
    }
    return { settings: { seconds }, cases, faults: cases.flatMap(faultsOf) }
  },
}

// Thousands of clients that are logged in and say nothing: what each of them holds in the pooler.
// The first pay for what all share, and are taken off.
import { processMemoryMb } from '../support/cpu.ts'
import { faultsOf } from '../support/measure.ts'
import { runCase, type Turn } from '../support/rounds.ts'
import type { Scenario, ScenarioResult } from '../support/scenario.ts'
import { ableTargets, type Need, type Target } from '../support/target.ts'
import { WireClient } from '../support/wire-client.ts'

const clientsMax = 10_000
/** Logins at a time. */
const lanes = 16
interface Pace {
  /** They pay for what all share. */
  readonly firstClients: number
  /** Until what logging in left behind has been collected. */
  readonly settleMs: number
}
const usualPace: Pace = { firstClients: 1000, settleMs: 3000 }
const quickPace: Pace = { firstClients: 500, settleMs: 1000 }

export const idle: Scenario = {
  name: 'idle',
  about: `How many bytes does a client cost that is connected and idle? (${clientsMax} of them)`,
  isCompared: true,
  async run(world, options): Promise<ScenarioResult> {
    const cases = []
    const pace = options.isQuick ? quickPace : usualPace
    for (const isTls of [false, true]) {
      // A handshake costs both sides a few milliseconds, and each client this process as much memory.
      const clients = options.isQuick ? 1500 : isTls ? 4000 : clientsMax
      const name = `idle, ${isTls ? 'TLS' : 'plain'}, ${clients} clients`
      const needs: Need[] = isTls ? ['scram', 'tls'] : ['scram']
      const poolers = world.targets.filter(({ pid }) => pid !== null)
      const done = await runCase(world, {
        name,
        unit: 'logins',
        rounds: 1,
        seed: options.seed,
        targets: ableTargets(poolers, { by: name, needs, clients }, options.say),
        turn: (target) => crowd(target, clients, isTls, pace),
        warmUpSeconds: 0,
      })
      options.onCase(done)
      cases.push(done)
    }
    return { settings: { ...pace }, cases, faults: cases.flatMap(faultsOf) }
  },
}

async function crowd(
  target: Target,
  count: number,
  isTls: boolean,
  { firstClients, settleMs }: Pace,
): Promise<Turn> {
  const clients: WireClient[] = []
  const pid = target.pid as number
  let firstError: string | null = null
  let errors = 0
  const fill = async (until: number): Promise<void> => {
    let opening = clients.length
    const lane = async (): Promise<void> => {
      while (opening < until) {
        opening++
        try {
          clients.push(await WireClient.open(target.transaction, isTls))
        } catch (error) {
          errors++
          firstError ??= String(error)
        }
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }
  const startMs = performance.now()
  await fill(firstClients)
  await new Promise((resolve) => setTimeout(resolve, settleMs))
  const before = processMemoryMb(pid).now
  const pausedMs = settleMs
  await fill(count)
  const seconds = (performance.now() - startMs - pausedMs) / 1000
  await new Promise((resolve) => setTimeout(resolve, settleMs))
  const grownMb = processMemoryMb(pid).now - before
  await Promise.all(clients.map((client) => client.close()))
  const kbPerClient = (grownMb * 1024) / Math.max(1, clients.length - firstClients)
  return {
    work: clients.length,
    seconds,
    latencies: null,
    errors,
    firstError,
    extra: { 'KB per client': kbPerClient },
  }
}

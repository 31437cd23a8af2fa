// What must be so when nobody asks for anything any more: no client, nobody who waits, no busy server.
import { LatchkeyMetrics } from './latchkey-metrics.ts'
import { appRole, otherRole } from './postgres.ts'
import type { World } from './world.ts'

const samplePeriodMs = 100
const restTimeoutMs = 20_000

/** Waits for the rest that must come; says what is not at rest when the time is over. */
export async function untilAtRest(
  world: World,
  leftOvers: () => Promise<readonly string[]>,
): Promise<string[]> {
  const endMs = performance.now() + restTimeoutMs
  for (;;) {
    const faults = [...(await unrestOf(world)), ...(await leftOvers())]
    if (faults.length === 0 || performance.now() > endMs) return faults
    await new Promise((resolve) => setTimeout(resolve, samplePeriodMs))
  }
}

async function unrestOf(world: World): Promise<string[]> {
  const { postgres, latchkey } = world
  if (!latchkey.service.isRunning) return ['Latchkey has ended']
  const faults: string[] = []
  const metrics = await LatchkeyMetrics.read(latchkey.apiUrl)
  const expectNone = (what: string, count: number): void => {
    if (count !== 0) faults.push(`at the end: ${count} ${what}`)
  }
  expectNone('clients', metrics.sum('pooler_clients'))
  expectNone('clients that listen', metrics.sum('pooler_listening_clients'))
  expectNone('waiters', metrics.sum('pooler_waiters'))
  expectNone('connections before login', metrics.sum('pooler_connections_before_login'))
  const servers = metrics.sum('pooler_servers')
  expectNone(
    `servers that are not idle: ${JSON.stringify(metrics.present('pooler_servers'))}`,
    servers - metrics.sum('pooler_servers', 'state="idle"'),
  )
  const backends = await postgres.query(
    `SELECT state, count(*)::int AS count FROM pg_stat_activity
     WHERE usename = ANY($1) GROUP BY state`,
    [[appRole, otherRole]],
  )
  const count = (states: typeof backends): number =>
    states.reduce((sum, row) => sum + Number(row.count), 0)
  expectNone('backends that are not idle', count(backends.filter(({ state }) => state !== 'idle')))
  const known = servers + metrics.sum('pooler_listening_connections')
  expectNone('backends more than the pools know', count(backends) - known)
  return faults
}

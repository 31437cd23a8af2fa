// A server that a killed process of ours left running, or whose postmaster.pid is all that is left.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, systemClock } from '../../shared/clock.ts'
import { readPrivateFile } from './private-folder.ts'
import { commandLineOf, isAlive } from './running-process.ts'
import { StartError } from './start-error.ts'

const pollMs = 20
// A fast shutdown, an immediate one, the end.
const steps = [
  { signal: 'SIGINT', limitMs: 60_000 },
  { signal: 'SIGQUIT', limitMs: 10_000 },
  { signal: 'SIGKILL', limitMs: 10_000 },
] as const

/** Afterwards no server runs on the data folder, and none is believed to. Only the lock's holder may. */
export async function clearLeftServer(dataDirectory: string): Promise<'none' | 'stopped'> {
  const path = join(dataDirectory, 'postmaster.pid')
  const processId = Number((await readPrivateFile(path))?.split('\n')[0])
  if (!(processId > 0)) return 'none'
  if (await isServerOf(processId, dataDirectory)) {
    await end(processId, dataDirectory)
    return 'stopped'
  }
  // Postgres believes the file when any process has that number now, and would not start.
  if (isAlive(processId)) await rm(path, { force: true })
  return 'none'
}

async function isServerOf(processId: number, dataDirectory: string): Promise<boolean> {
  return (await commandLineOf(processId))?.includes(dataDirectory) ?? false
}

async function end(processId: number, dataDirectory: string): Promise<void> {
  for (const { signal, limitMs } of steps) {
    try {
      process.kill(processId, signal)
    } catch {
      // Gone already, or not ours to end: the wait below tells which.
    }
    const endMs = systemClock.monotonicMs() + limitMs
    while (systemClock.monotonicMs() < endMs) {
      if (!(await isServerOf(processId, dataDirectory))) return
      await sleep(systemClock, pollMs)
    }
  }
  throw new StartError(`an older Postgres (process ${processId}) on ${dataDirectory} does not end`)
}

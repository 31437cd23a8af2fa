// Waits for a moment in which nobody else is at work, so that fewer rounds are spoilt.
import { machineCpu } from './cpu.ts'

const sampleMs = 250
const busyShareMax = 0.15

/** Fulfilled when the machine is quiet, or when it has not become so in time. */
export async function untilQuiet(timeoutMs: number): Promise<void> {
  const endMs = performance.now() + timeoutMs
  do {
    const before = machineCpu()
    await new Promise((resolve) => setTimeout(resolve, sampleMs))
    const after = machineCpu()
    const busyMs = after.busyMs - before.busyMs
    if (busyMs < busyShareMax * (after.totalMs - before.totalMs)) return
  } while (performance.now() < endMs)
}

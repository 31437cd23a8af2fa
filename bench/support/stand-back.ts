// Programs that get what others leave of the processor: load that is there, and must not be what is measured.
import { writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'

/** False where that is not allowed, or the process is another machine's. */
export function standBack(pid: number): boolean {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
    // Where each session has a share of its own (sched(7), "The autogroup feature"), nice counts only within
    // it, and each of Postgres' backends is one.
    writeFileSync(`/proc/${pid}/autogroup`, `${constants.priority.PRIORITY_LOW}`)
    return true
  } catch {
    return false
  }
}

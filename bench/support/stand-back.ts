// Programs that get only what others leave of the processor: load that is there, and must not be what is
// measured.
import { constants, setPriority } from 'node:os'
import { CpuGroup, hasWritten } from './cpu-group.ts'

/** Where nobody waits for one of these to have its slice, as they do with mere niceness. */
let idleGroup: CpuGroup | null | undefined

/** False where that is not allowed, or the process is another machine's. */
export function standBack(pid: number): boolean {
  if (idleGroup === undefined) idleGroup = CpuGroup.open('idle', true)
  return idleGroup?.add(pid) || isNiced(pid)
}

function isNiced(pid: number): boolean {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    return false
  }
  // Where each session has a share of its own (sched(7), "The autogroup feature"), nice counts only within
  // it, and each of Postgres' backends is one.
  return hasWritten(`/proc/${pid}/autogroup`, constants.priority.PRIORITY_LOW)
}

// Programs that get only what others leave of the processor: load that is there, and must not be what is
// measured.
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'

/** Of the kernel's control groups, version 1 and 2 (Documentation/admin-guide/cgroup-v2, "CPU"). */
const groupRoots = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup']

/** Where nobody waits for one of these to have its slice, as they do with mere niceness. */
let idleGroup: string | null | undefined

/** False where that is not allowed, or the process is another machine's. */
export function standBack(pid: number): boolean {
  if (idleGroup === undefined) idleGroup = openIdleGroup()
  const wasMoved = idleGroup !== null && hasWritten(join(idleGroup, 'cgroup.procs'), pid)
  return wasMoved || isNiced(pid)
}

function openIdleGroup(): string | null {
  for (const root of groupRoots) {
    const group = join(root, `latchkey-bench-${process.pid}`)
    try {
      mkdirSync(group)
    } catch {
      continue
    }
    process.once('exit', () => remove(group))
    if (hasWritten(join(group, 'cpu.idle'), 1)) return group
    remove(group)
  }
  return null
}

/** Once all of it have ended: a group with somebody in it stays. */
function remove(group: string): void {
  try {
    rmdirSync(group)
  } catch {}
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

function hasWritten(file: string, value: number): boolean {
  try {
    writeFileSync(file, `${value}`)
    return true
  } catch {
    return false
  }
}

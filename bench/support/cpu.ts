// Processor time from /proc: of one process, of a process with its children, of the machine.
import { readFileSync, writeFileSync } from 'node:fs'

/** USER_HZ, in which /proc counts; 100 on every Linux that Node runs on (proc(5)). */
const msPerTick = 10

/** User and system time of a process, all its threads. */
export function processCpuMs(pid: number): number {
  const [own] = ticksOf(pid)
  return own * msPerTick
}

/** The same with its children, those that ended and those that live: a postmaster's backends. */
export function treeCpuMs(pid: number): number {
  const [own, ended] = ticksOf(pid)
  let ticks = own + ended
  for (const child of childrenOf(pid)) {
    try {
      ticks += ticksOf(child)[0]
    } catch {
      // It ended just now, and is counted with the ended ones at the next reading.
    }
  }
  return ticks * msPerTick
}

/** Of our own children that ended. With one child between two readings, that child's. */
export function endedChildrenCpuMs(): number {
  return ticksOf(process.pid)[1] * msPerTick
}

export interface MachineCpu {
  /** All but idle. */
  readonly busyMs: number
  /** Taken by other guests of the host. */
  readonly stolenMs: number
  readonly totalMs: number
}

export function machineCpu(): MachineCpu {
  const line = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  const [user, nice, system, idle, iowait, irq, softirq, steal] = line.split(/ +/).slice(1)
  const busy = [user, nice, system, irq, softirq].reduce((sum, each) => sum + Number(each), 0)
  const total = busy + Number(idle) + Number(iowait) + Number(steal)
  return {
    busyMs: busy * msPerTick,
    stolenMs: Number(steal) * msPerTick,
    totalMs: total * msPerTick,
  }
}

/** Resident memory now and at its highest. */
export function processMemoryMb(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kb = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return { now: Math.round(kb('VmRSS') / 1024), peak: Math.round(kb('VmHWM') / 1024) }
}

/** Of a process and its children together. */
export function treePeakMemoryMb(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + processMemoryMb(each).peak, 0)
}

export function resetTreePeakMemory(pid: number): void {
  for (const each of [pid, ...childrenOf(pid)]) resetPeakMemory(each)
}

/** From here on `peak` is the highest since now (proc(5), clear_refs); where that is not allowed, of all time. */
export function resetPeakMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // The figure stays what it says in README: an upper bound.
  }
}

/** utime + stime, and cutime + cstime: fields 14 to 17 of proc_pid_stat(5). */
function ticksOf(pid: number): [own: number, ended: number] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is a name in brackets that may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  return [field(14) + field(15), field(16) + field(17)]
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

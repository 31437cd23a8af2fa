// How the kernel shares the processor among what is measured. Where each session has a share of its own
// (sched(7), "The autogroup feature"), every backend of Postgres is one, and a pooler and its clients,
// started from one terminal, are another one together. Such a backend may then wait for a second though
// it could run (Linux 6.18, two cores), which stands in no pooler's power. Servers that are started by an
// init system know nothing of it, and so a run leaves it where it may.
import { readFileSync } from 'node:fs'
import { CpuGroup } from './cpu-group.ts'

export type ProcessorShares = 'of each thread' | 'of each session (autogroup)'

/** Of all that this process starts from here on. */
export function shareByThread(): ProcessorShares {
  if (!isByAutogroup()) return 'of each thread'
  const isMoved = CpuGroup.open('all', false)?.add(process.pid) ?? false
  return isMoved ? 'of each thread' : 'of each session (autogroup)'
}

/** It counts for those alone that are in no control group but the kernel's own. */
function isByAutogroup(): boolean {
  try {
    const isOn = readFileSync('/proc/sys/kernel/sched_autogroup_enabled', 'latin1').trim() === '1'
    return isOn && cpuGroupOf(readFileSync('/proc/self/cgroup', 'latin1')) === '/'
  } catch {
    return false
  }
}

/** `cgroups`: as /proc/…/cgroup has them, `hierarchy:controllers:path` (cgroups(7)). */
function cpuGroupOf(cgroups: string): string {
  const lines = cgroups.split('\n').map((line) => line.split(':'))
  const own = lines.find(([, controllers = '']) => controllers.split(',').includes('cpu'))
  const unified = lines.find(([number]) => number === '0')
  return (own ?? unified)?.slice(2).join(':') || '/'
}

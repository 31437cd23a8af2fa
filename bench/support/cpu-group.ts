// Control groups of the kernel, of processes that share the processor among each other as one
// (Documentation/admin-guide/cgroup-v2, "CPU"; version 1 likewise).
import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the groups of version 1 and 2 are. */
const roots = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup']

const membersFile = 'cgroup.procs'
const namesBegin = 'latchkey-bench-'

export class CpuGroup {
  readonly #root: string
  readonly #folder: string

  private constructor(root: string, folder: string) {
    this.#root = root
    this.#folder = folder
  }

  /** Null where that is not allowed, or the kernel has none that count for the processor. */
  static open(purpose: string, isIdle: boolean): CpuGroup | null {
    for (const root of roots) {
      removeLeftovers(root)
      const group = new CpuGroup(root, join(root, `${namesBegin}${process.pid}-${purpose}`))
      try {
        mkdirSync(group.#folder)
      } catch {
        continue
      }
      process.once('exit', () => group.#remove())
      // Only where the kernel shares the processor by groups is there such a file.
      if (hasWritten(join(group.#folder, 'cpu.idle'), isIdle ? 1 : 0)) return group
      group.#remove()
    }
    return null
  }

  /** With what it starts from here on. False: not allowed, or it is another machine's. */
  add(pid: number): boolean {
    return hasWritten(join(this.#folder, membersFile), pid)
  }

  /** Once all others in it have ended: a group with somebody in it stays. */
  #remove(): void {
    hasWritten(join(this.#root, membersFile), process.pid)
    removeEmpty(this.#folder)
  }
}

/** Of runs whose last process ended after they had. One with somebody in it stays. */
function removeLeftovers(root: string): void {
  try {
    for (const name of readdirSync(root)) {
      if (name.startsWith(namesBegin)) removeEmpty(join(root, name))
    }
  } catch {}
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {}
}

export function hasWritten(file: string, value: number): boolean {
  try {
    writeFileSync(file, `${value}`)
    return true
  } catch {
    return false
  }
}

// What operators hold back in this process: pools that are paused, projects that take no newcomers.
// Kept until it is taken back or the process ends.
import { poolHoldsMax } from '../config/limits.ts'
import { refused } from './command-refusal.ts'
import type { PoolKey } from './pool-key.ts'
import { contains, isMeant, type PoolTarget, targetText } from './pool-target.ts'

export class PoolHolds {
  #paused: PoolTarget[] = []
  readonly #disabled = new Set<string>()

  get paused(): readonly PoolTarget[] {
    return this.#paused
  }

  isPaused(key: Pick<PoolKey, 'tenantRef' | 'role' | 'database'>): boolean {
    return this.#paused.some((target) => isMeant(target, key))
  }

  isDisabled(tenantRef: string): boolean {
    return this.#disabled.has(tenantRef)
  }

  /** Throws EADMINCOMMAND where it is paused already. */
  pause(target: PoolTarget): void {
    if (this.#paused.some((one) => contains(one, target))) {
      throw refused(`${targetText(target)} is paused already`)
    }
    if (this.#paused.length >= poolHoldsMax) throw refused('too much is paused')
    this.#paused.push(target)
  }

  /** Takes back what `target` contains. Throws EADMINCOMMAND where nothing is, or a wider pause stays. */
  resume(target: PoolTarget): void {
    const left = this.#paused.filter((one) => !contains(target, one))
    const wider = left.find((one) => contains(one, target))
    if (wider !== undefined) throw refused(`it is ${targetText(wider)} that is paused`)
    if (left.length === this.#paused.length) throw refused(`${targetText(target)} is not paused`)
    this.#paused = left
  }

  disable(tenantRef: string): void {
    if (this.#disabled.size >= poolHoldsMax) throw refused('too many projects are disabled')
    this.#disabled.add(tenantRef)
  }

  enable(tenantRef: string): void {
    this.#disabled.delete(tenantRef)
  }
}

// What operators hold back: pools that are paused, projects that take no newcomers. Kept until it is
// taken back or the process ends; of several workers, until the process in front of them ends.
import { poolHoldsMax } from '../config/limits.ts'
import { refused } from './command-refusal.ts'
import type { PoolKey } from './pool-key.ts'
import { contains, isMeant, type PoolTarget, targetText } from './pool-target.ts'

/** All that is held back now, as it is told from one process to another. */
export interface HeldBack {
  readonly paused: readonly PoolTarget[]
  readonly disabled: readonly string[]
}

export type HoldChange =
  /** `orIs`: it may be paused already. */
  | { readonly kind: 'pause'; readonly target: PoolTarget; readonly orIs?: true }
  | { readonly kind: 'resume'; readonly target: PoolTarget }
  | { readonly kind: 'disable' | 'enable'; readonly ref: string }

export class PoolHolds {
  #paused: PoolTarget[] = []
  #disabled = new Set<string>()

  get all(): HeldBack {
    return { paused: this.#paused, disabled: [...this.#disabled] }
  }

  /** In the place of whatever was held back before. */
  adopt({ paused, disabled }: HeldBack): void {
    this.#paused = [...paused]
    this.#disabled = new Set(disabled)
  }

  /** Throws EADMINCOMMAND, and has changed nothing then. */
  change(change: HoldChange): void {
    switch (change.kind) {
      case 'pause':
        if (change.orIs !== true || !this.isAllPaused(change.target)) this.pause(change.target)
        return
      case 'resume':
        this.resume(change.target)
        return
      case 'disable':
        this.disable(change.ref)
        return
      case 'enable':
        this.enable(change.ref)
    }
  }

  get paused(): readonly PoolTarget[] {
    return this.#paused
  }

  isPaused(key: Pick<PoolKey, 'tenantRef' | 'role' | 'database'>): boolean {
    return this.#paused.some((target) => isMeant(target, key))
  }

  /** Whatever `target` means. */
  isAllPaused(target: PoolTarget): boolean {
    return this.#paused.some((one) => contains(one, target))
  }

  isDisabled(tenantRef: string): boolean {
    return this.#disabled.has(tenantRef)
  }

  /** Throws EADMINCOMMAND where it is paused already. */
  pause(target: PoolTarget): void {
    if (this.isAllPaused(target)) throw refused(`${targetText(target)} is paused already`)
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

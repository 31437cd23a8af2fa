import type { Change, ChangeListener, Changes } from '../../pooler/store/change-feed.ts'

/** A feed of changes that says what the test says. */
export class HandDrivenChanges implements Changes {
  isBlind = false
  readonly #listeners = new Set<ChangeListener>()

  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  announce(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }

  get listenerCount(): number {
    return this.#listeners.size
  }
}

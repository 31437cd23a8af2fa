// First come, first served, and anyone may leave from the middle at once. Everything is O(1) but a walk,
// and nothing is allocated: the places are those that the clients bring with them.
import type { WaitingPlace } from '../relay/waiting-place.ts'

export class WaitingList {
  size = 0
  first: WaitingPlace | null = null
  #last: WaitingPlace | null = null

  /** Behind all others. Only a place that stands nowhere. */
  push(place: WaitingPlace): void {
    place.list = this
    place.before = this.#last
    if (this.#last === null) this.first = place
    else this.#last.behind = place
    this.#last = place
    this.size++
  }

  /** Only a place that stands here. */
  remove(place: WaitingPlace): void {
    const { before, behind } = place
    if (before === null) this.first = behind
    else before.behind = behind
    if (behind === null) this.#last = before
    else behind.before = before
    place.list = null
    place.before = null
    place.behind = null
    this.size--
  }
}

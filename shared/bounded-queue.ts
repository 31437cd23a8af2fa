// First come, first served, never more than a maximum, and anyone may leave from the middle at
// once. Everything is O(1). A linked list, not a ring: a ring would keep the slots of those who
// left until the head passes them, so that one patient waiter lets it grow without bound.

/** Where an item stands; given by `push`, good for `remove`, once. */
export interface Place<Item> {
  readonly item: Item
}

interface Node<Item> extends Place<Item> {
  before: Node<Item> | null
  behind: Node<Item> | null
  queue: BoundedQueue<Item> | null
}

export class BoundedQueue<Item> {
  readonly itemsMax: number
  #first: Node<Item> | null = null
  #last: Node<Item> | null = null
  #size = 0

  constructor(itemsMax: number) {
    this.itemsMax = itemsMax
  }

  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return this.#size >= this.itemsMax
  }

  /** null when the queue is full: the item is not in it then. */
  push(item: Item): Place<Item> | null {
    if (this.isFull) return null
    const node: Node<Item> = { item, before: this.#last, behind: null, queue: this }
    if (this.#last === null) this.#first = node
    else this.#last.behind = node
    this.#last = node
    this.#size += 1
    return node
  }

  /** The item that came first, still in the queue. */
  peek(): Item | undefined {
    return this.#first?.item
  }

  /** Takes out the item that came first. */
  shift(): Item | undefined {
    const node = this.#first
    if (node === null) return undefined
    this.remove(node)
    return node.item
  }

  /** False when the item has left already, by `shift` or `remove`. */
  remove(place: Place<Item>): boolean {
    const node = place as Node<Item>
    if (node.queue !== this) return false
    if (node.before === null) this.#first = node.behind
    else node.before.behind = node.behind
    if (node.behind === null) this.#last = node.before
    else node.behind.before = node.before
    // A place that its owner still holds must not keep the neighbours in memory.
    node.before = null
    node.behind = null
    node.queue = null
    this.#size -= 1
    return true
  }

  /** In the order of arrival. The item just given may be removed while iterating. */
  *[Symbol.iterator](): Iterator<Item> {
    let node = this.#first
    while (node !== null) {
      const { item, behind } = node
      yield item
      node = behind
    }
  }
}

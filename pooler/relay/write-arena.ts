// Where small writes of one turn are put together: each transport has at most one region, which grows
// while it is the last one. Empty again when every region has been sent.
//
//   memory:  │ region of one │ … │ region of another │ free │
//            ↑ 0             ↑ 1 KB                  ↑ at
const arenaBytes = 64 * 1024
/** Regions begin at multiples of this. */
const slotBytes = 1024

export class WriteArena {
  memory: Buffer = Buffer.allocUnsafeSlow(arenaBytes)
  at = 0
  #openRegions = 0
  /**
   * Of one slot each, by length: making a view costs more than a small write's copy. As long as they will
   * ever be from the start: V8 keeps an array that grows by leaps as a hash table.
   */
  #views: (Buffer | null)[][] = []

  hasRoom(bytes: number): boolean {
    return this.at + bytes <= arenaBytes
  }

  /** A region begins at the next slot. False: there is no room for so much there. */
  open(bytes: number): boolean {
    const at = Math.ceil(this.at / slotBytes) * slotBytes
    if (at + bytes > arenaBytes) return false
    this.at = at
    this.#openRegions++
    return true
  }

  /** Into the last region. */
  append(chunk: Buffer): void {
    this.memory.set(chunk, this.at)
    this.at += chunk.length
  }

  /** A region has been sent, or is given up. */
  close(): void {
    if (--this.#openRegions === 0) this.at = 0
  }

  /** Of `memory`, which may be one that has been replaced. */
  view(memory: Buffer, from: number, end: number): Buffer {
    const bytes = end - from
    if (bytes > slotBytes || memory !== this.memory) return memory.subarray(from, end)
    const slot = from / slotBytes
    this.#views[slot] ??= new Array(slotBytes + 1).fill(null)
    const views = this.#views[slot]
    views[bytes] ??= memory.subarray(from, end)
    return views[bytes]
  }

  /** What there was belongs to a write under way, or to regions that will yet be sent from it. */
  replace(): void {
    this.memory = Buffer.allocUnsafeSlow(arenaBytes)
    this.#views = []
    this.at = 0
  }
}

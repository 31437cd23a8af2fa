// Where small writes of one turn are put together: each transport has at most one region, which grows
// while it is the last one. Empty again when every region has been sent.
//
//   memory:  │ region of one │ region of another │ free │
//                                                ↑ at
const arenaBytes = 64 * 1024
/** Most turns write once: a view of that size, from the start, is made once and found again. */
const viewBytesMax = 4096

export class WriteArena {
  memory: Buffer = Buffer.allocUnsafeSlow(arenaBytes)
  at = 0
  #openRegions = 0
  #views: Buffer[] = []

  hasRoom(bytes: number): boolean {
    return this.at + bytes <= arenaBytes
  }

  /** A region begins at `at`, with room for so much. */
  open(bytes: number): void {
    if (!this.hasRoom(bytes)) this.replace()
    this.#openRegions++
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
    if (from > 0 || end > viewBytesMax || memory !== this.memory) return memory.subarray(from, end)
    this.#views[end] ??= memory.subarray(0, end)
    return this.#views[end]
  }

  /** What there was belongs to a write under way, or to regions that will yet be sent from it. */
  replace(): void {
    this.memory = Buffer.allocUnsafeSlow(arenaBytes)
    this.#views = []
    this.at = 0
  }
}

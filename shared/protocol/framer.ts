// Cuts a byte stream into messages by their headers alone. It holds at most the four length bytes
// of a header that was split; bodies are never held. Synchronous, and allocates nothing per message.
//
//   chunk:   …body │ type len len len len │ body … body │ type len …
//            ↑ bodyLeft bytes              ↑ after next(): at        ↑ the next header
//
// Usage, per chunk:
//   let at = framer.skipBody(chunk, 0)
//   while ((at = framer.nextHeader(chunk, at)) !== needMore) {
//     …framer.type, framer.bodyBytes; the body starts at `at`…
//     at = framer.skipBody(chunk, at)
//   }

export const needMore = -1

export class Framer {
  /** Type byte of the message whose header was read last. */
  type = 0
  /** Bytes of that message behind its header; below zero when the length word was below 4. */
  bodyBytes = 0
  /** Bytes of that message that have not been passed yet. */
  bodyLeft = 0
  /** Bytes of the next header that came so far. */
  #headerHave = 0
  #lengthSoFar = 0

  /** True between two messages: nothing of a header or of a body is outstanding. */
  get isAtBoundary(): boolean {
    return this.bodyLeft === 0 && this.#headerHave === 0
  }

  /** Header bytes of an incomplete header, 0 to 4. They came in earlier chunks. */
  get headerBytesHeld(): number {
    return this.#headerHave
  }

  /**
   * Reads a header at `at` and returns the offset behind it, or needMore when the chunk ended first;
   * what there was of the header is remembered. Only valid while bodyLeft is 0. The caller checks
   * bodyBytes before it trusts the message.
   */
  nextHeader(chunk: Buffer, at: number): number {
    const end = chunk.length
    if (this.#headerHave === 0 && end - at >= 5) {
      this.type = chunk[at] as number
      // Unsigned: a length of 2^31 or more must not turn negative (shifts are 32-bit signed).
      this.bodyBytes =
        (((chunk[at + 1] as number) << 24) |
          ((chunk[at + 2] as number) << 16) |
          ((chunk[at + 3] as number) << 8) |
          (chunk[at + 4] as number)) >>>
        0
      this.bodyBytes -= 4
      this.bodyLeft = this.bodyBytes
      return at + 5
    }
    return this.#nextHeaderSlowly(chunk, at)
  }

  #nextHeaderSlowly(chunk: Buffer, from: number): number {
    let at = from
    while (at < chunk.length) {
      const byte = chunk[at++] as number
      if (this.#headerHave === 0) {
        this.type = byte
        this.#lengthSoFar = 0
      } else {
        this.#lengthSoFar = this.#lengthSoFar * 256 + byte
      }
      if (++this.#headerHave === 5) {
        this.#headerHave = 0
        this.bodyBytes = this.#lengthSoFar - 4
        this.bodyLeft = this.bodyBytes
        return at
      }
    }
    return needMore
  }

  /** What came of an incomplete header comes once more. */
  forgetHeader(): void {
    this.#headerHave = 0
  }

  /** Passes `bytes` of the current body that the caller has dealt with; all of them have come. */
  skipPart(at: number, bytes: number): number {
    this.bodyLeft -= bytes
    return at + bytes
  }

  /** Passes as much of the current body as the chunk holds and returns the offset behind it. */
  skipBody(chunk: Buffer, at: number): number {
    const there = chunk.length - at
    if (this.bodyLeft <= there) {
      const next = at + this.bodyLeft
      this.bodyLeft = 0
      return next
    }
    this.bodyLeft -= there
    return chunk.length
  }
}

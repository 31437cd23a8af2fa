// Memory that sockets read into. Small reads of all sockets share one buffer, so that an idle client
// has none; a socket in the middle of bulk data has one of its own, whose bytes may be kept by
// reference, because it is replaced when they are.

/** Node's own streams read as much at a time. */
export const readBytesMax = 64 * 1024
/** Reads of this size make a socket read into memory of its own; copies below it cost little. */
export const bulkBytesMin = 16 * 1024

export const sharedMemory = Buffer.allocUnsafeSlow(readBytesMax)
export const sharedBytes: ArrayBufferLike = sharedMemory.buffer

/** What is read from right now: the next read overwrites it. */
let lent: ArrayBufferLike | null = null
let isLentKept = false

/** The array buffer itself: to ask a Buffer for its own is a call into V8. */
export function lend(memory: ArrayBufferLike): void {
  lent = memory
  isLentKept = false
}

/** True when some of it is kept: it must not be read into again. */
export function takeBackLent(): boolean {
  lent = null
  return isLentKept
}

/** True for bytes in memory that must be copied if it is to last. */
export const isShared = (bytes: Buffer): boolean => bytes.buffer === sharedBytes

/** The same bytes, to be kept beyond the call that brought them. */
export function kept(bytes: Buffer): Buffer {
  if (lent === null || bytes.buffer !== lent) return bytes
  // A small piece must not keep the large memory around it.
  if (isShared(bytes) || bytes.length < bulkBytesMin) return Buffer.from(bytes)
  isLentKept = true
  return bytes
}

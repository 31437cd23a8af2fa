// How bytes are cut before they are written: TCP promises an order, never where one read ends.
// Everything that sends bytes in tests goes through here.

import type { Duplex } from 'node:stream'
import type { SeededRandom } from './seeded-random.ts'

export type Segmentation =
  | { readonly kind: 'whole' }
  | { readonly kind: 'bytes' }
  /** Cut points counted from the start of the bytes; those outside are left out. */
  | { readonly kind: 'at'; readonly offsets: readonly number[] }
  /** Pieces of 1 to `bytesMax` bytes. */
  | { readonly kind: 'random'; readonly random: SeededRandom; readonly bytesMax: number }

export const whole: Segmentation = { kind: 'whole' }
export const oneByteEach: Segmentation = { kind: 'bytes' }
export const splitAt = (...offsets: number[]): Segmentation => ({ kind: 'at', offsets })
export const randomPieces = (random: SeededRandom, bytesMax = 64): Segmentation => ({
  kind: 'random',
  random,
  bytesMax,
})

/** The cuts that matter to anything that sends bytes; for `describe.each`. */
export const bothExtremes = [
  { name: 'all in one chunk', segmentation: whole },
  { name: 'one byte at a time', segmentation: oneByteEach },
] as const

export function cutSegments(bytes: Buffer, segmentation: Segmentation): Buffer[] {
  const cuts = cutPoints(bytes.length, segmentation)
  const pieces: Buffer[] = []
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    if (cut > from) pieces.push(bytes.subarray(from, cut))
    from = Math.max(from, cut)
  }
  return pieces
}

function cutPoints(length: number, segmentation: Segmentation): number[] {
  switch (segmentation.kind) {
    case 'whole':
      return []
    case 'bytes':
      return Array.from({ length }, (_, index) => index)
    case 'at':
      return segmentation.offsets.filter((cut) => cut > 0 && cut < length).sort((a, b) => a - b)
    case 'random': {
      const cuts: number[] = []
      let cut = 1 + segmentation.random.int(segmentation.bytesMax)
      while (cut < length) {
        cuts.push(cut)
        cut += 1 + segmentation.random.int(segmentation.bytesMax)
      }
      return cuts
    }
  }
}

/**
 * Writes each piece on its own, the next only when the kernel has taken the one before and the
 * event loop has gone round once, so that a reader in the same process may see it alone.
 * Resolves without an error when the stream closes meanwhile: a peer may hang up at any byte.
 */
export async function writeSegments(
  stream: Duplex,
  bytes: Buffer,
  segmentation: Segmentation = whole,
): Promise<void> {
  const pieces = cutSegments(bytes, segmentation)
  for (const [index, piece] of pieces.entries()) {
    if (stream.destroyed || !stream.writable) return
    await writePiece(stream, piece)
    if (index + 1 < pieces.length) await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

function writePiece(stream: Duplex, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const onDone = () => {
      stream.off('close', onDone)
      resolve()
    }
    stream.once('close', onDone)
    stream.write(piece, onDone)
  })
}

// Random bytes for what every login needs: a call for a few of them costs more than drawing from some
// thousands made at once. For keys that stay, randomBytes.
import { randomFillSync } from 'node:crypto'
import { assert } from '../assert.ts'

const poolBytes = 4096
const pool = Buffer.allocUnsafeSlow(poolBytes)
let at = poolBytes

/** More is no small need. */
const drawnMax = 256

/** At most 256. */
export function pooledRandomBytes(bytes: number): Buffer {
  assert(bytes <= drawnMax, 'what is drawn from the pool is small')
  if (at + bytes > poolBytes) {
    randomFillSync(pool)
    at = 0
  }
  const drawn = Buffer.from(pool.subarray(at, at + bytes))
  // What was handed out stays nowhere but with whom it was handed to.
  pool.fill(0, at, at + bytes)
  at += bytes
  return drawn
}

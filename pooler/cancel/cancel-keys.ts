// The keys in the BackendKeyData that clients get: ours, random, and good for one client while it
// lives. A key of protocol 3.0 has 32 + 32 bits; one of 3.2 has 32 + 256.
import { randomInt, timingSafeEqual } from 'node:crypto'
import { pooledRandomBytes } from '../../shared/crypto/random-pool.ts'

export interface CancelTarget {
  /**
   * Cancels what runs for this client or takes it out of the queue; nothing when it is idle.
   * Fulfilled when it is done or given up; never rejects.
   */
  cancel(): Promise<void>
}

export interface CancelKey {
  /** Positive: some drivers read it as a signed number. */
  readonly processId: number
  readonly secret: Buffer
}

const secretBytes = 4
const longSecretBytes = 32
/**
 * Above what a system gives its processes (Linux: 2^22 at most), so that no notification of a real
 * server looks like a client's own.
 */
const processIdMin = 2 ** 22 + 1
const processIdMax = 0x7fffffff

interface Entry {
  /** As characters of a byte each: a Buffer would keep the 64 KB around it as well. */
  secret: string
  /** null once it has been withdrawn. */
  target: CancelTarget | null
}

export class CancelKeys {
  readonly #targets = new Map<number, Entry>()

  /** One entry for each client that is logged in; `withdraw` takes it away. */
  get size(): number {
    return this.#targets.size
  }

  /** `isLong` for clients of protocol 3.2, which take more than four bytes. */
  issue(target: CancelTarget, isLong: boolean): CancelKey {
    let processId = randomInt(processIdMin, processIdMax)
    while (this.#targets.has(processId)) processId = randomInt(processIdMin, processIdMax)
    const secret = pooledRandomBytes(isLong ? longSecretBytes : secretBytes)
    this.#targets.set(processId, { secret: secret.toString('latin1'), target })
    return { processId, secret }
  }

  withdraw(processId: number): void {
    const entry = this.#targets.get(processId)
    if (entry === undefined) return
    this.#targets.delete(processId)
    // The map's former tables keep entries for a while (see shared/roster.ts), but no client and no secret.
    entry.secret = ''
    entry.target = null
  }

  /** null for a wrong key; how long it takes does not tell how much of it was right. */
  find(processId: number, secret: Buffer): CancelTarget | null {
    const known = this.#targets.get(processId)
    if (known === undefined || known.secret.length !== secret.length) return null
    return timingSafeEqual(Buffer.from(known.secret, 'latin1'), secret) ? known.target : null
  }
}

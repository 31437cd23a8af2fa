// From a password to the keys of SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677), off the main thread.
import { hash, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { assert } from '../assert.ts'
import { Secret } from '../secret.ts'
import { saslprep } from './saslprep.ts'

/** Bytes of every key, hash and proof of SHA-256. */
export const scramKeyBytes = 32
/** What Postgres uses unless `scram_iterations` says otherwise, and before version 16 always. */
export const scramIterationsUsual = 4096
/** The other side names the count and we do the work: about a third of a second, never minutes. */
export const scramIterationsMax = 1_000_000
/** A salt of Postgres has 16 bytes; salts of other makers are longer, none is near this. */
export const scramSaltBytesMax = 256

// Above this a derivation takes over 20 ms of a thread of the pool that everybody shares. Such ones
// run one after the other, so that a server that asks for them occupies one thread, not all.
const quickIterationsMax = 65_536
// Behind these the wait is longer than any login may take.
const slowWaitingMax = 50

export interface ScramKeys {
  readonly clientKey: Secret<Buffer>
  readonly serverKey: Secret<Buffer>
}

/** Too many derivations with huge iteration counts are waiting already. */
export class DerivationOverloadError extends Error {
  override readonly name = 'DerivationOverloadError'
}

const pbkdf2Async = promisify(pbkdf2)

/** `iterations` is 1 to scramIterationsMax: the caller has checked what a peer asked for. */
export async function deriveScramKeys(
  password: Secret<string>,
  salt: Buffer,
  iterations: number,
): Promise<ScramKeys> {
  const prepared = saslprep(password.reveal())
  const run = () => pbkdf2Async(prepared, salt, iterations, scramKeyBytes, 'sha256')
  const salted = await (iterations > quickIterationsMax ? inSlowLane(run) : run())
  return {
    clientKey: new Secret(hmacSha256(salted, 'Client Key')),
    serverKey: new Secret(hmacSha256(salted, 'Server Key')),
  }
}

interface LastKeys {
  readonly salt: Buffer
  readonly iterations: number
  readonly keys: Promise<ScramKeys>
}

/** For as long as the password itself is held. */
const lastKeysOf = new WeakMap<Secret<string>, LastKeys>()

/** As deriveScramKeys, once for all logins with a password to servers that name the same salt: those of one role do. */
export function rememberedScramKeys(
  password: Secret<string>,
  salt: Buffer,
  iterations: number,
): Promise<ScramKeys> {
  const last = lastKeysOf.get(password)
  if (last?.iterations === iterations && last.salt.equals(salt)) return last.keys
  const keys = deriveScramKeys(password, salt, iterations)
  const made = { salt, iterations, keys }
  lastKeysOf.set(password, made)
  keys.catch(() => {
    if (lastKeysOf.get(password) === made) lastKeysOf.delete(password)
  })
  return keys
}

export const storedKeyOf = (clientKey: Buffer): Buffer => bytesOf(sha256(clientKey))

/** Postgres' limit of a message is 1,024 bytes; what is signed is three of them. */
const signedBytesMax = 4096
/** What SHA-256 takes at a time. */
const blockBytes = 64
const inner = Buffer.allocUnsafeSlow(blockBytes + signedBytesMax)
const outer = Buffer.allocUnsafeSlow(blockBytes + scramKeyBytes)

/**
 * RFC 2104 for keys up to a block and texts up to 4 KB, by two plain hashes: Node's Hmac wants a KeyObject, and
 * both are objects of C++ that garbage collection has to see off. A quarter of its time.
 */
export function hmacSha256(key: Buffer, text: string | Buffer): Buffer {
  const signed = typeof text === 'string' ? Buffer.from(text) : text
  assert(key.length <= blockBytes && signed.length <= signedBytesMax, 'what is signed is short')
  for (let at = 0; at < blockBytes; at++) {
    const byte = key[at] ?? 0
    inner[at] = byte ^ 0x36
    outer[at] = byte ^ 0x5c
  }
  inner.set(signed, blockBytes)
  outer.write(sha256(inner.subarray(0, blockBytes + signed.length)), blockBytes, 'latin1')
  const made = bytesOf(sha256(outer))
  // The key stays nowhere but where it came from.
  inner.fill(0, 0, blockBytes)
  outer.fill(0)
  return made
}

/** A character for each byte: a Buffer of its own costs Node three times the hash. */
const sha256 = (bytes: Buffer): string => hash('sha256', bytes, 'binary')

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')

let slowLane: Promise<unknown> = Promise.resolve()
let slowWaiting = 0

async function inSlowLane(run: () => Promise<Buffer>): Promise<Buffer> {
  if (slowWaiting >= slowWaitingMax) {
    throw new DerivationOverloadError('too many expensive key derivations are waiting')
  }
  slowWaiting++
  const result = slowLane.then(run)
  slowLane = result.catch(() => {})
  try {
    return await result
  } finally {
    slowWaiting--
  }
}

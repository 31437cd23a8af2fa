// Bytes to steps, from the first byte of a connection (or of its TLS stream) to its StartupMessage.
// Synchronous and without I/O: who answers, encrypts or closes is the caller. What arrives is
// judged by its prefix alone, so every split of the same bytes ends in the same step.
// Postgres manual, 54.2.1, 54.2.11, 54.2.12 and 54.7.
import { assert } from '../../shared/assert.ts'
import { PoolerError } from '../../shared/errors.ts'
import { noBytes } from '../../shared/no-bytes.ts'
import { startupPacketBytesMax } from '../config/limits.ts'
import { readStartupPacket, type StartupPacket } from './startup-packet.ts'

/** Major 1234 is no version: these codes stand where a StartupMessage has its version. */
const requestMajor = 1234
const cancelMinor = 5678
const sslMinor = 5679
const gssencMinor = 5680

/** Length, code and process id stand before the secret; protocol 3.2 allows 4 to 256 bytes of it. */
const cancelHeaderBytes = 12
const cancelSecretBytesMin = 4
const cancelSecretBytesMax = 256

const tlsHandshakeByte = 0x16
const httpGet = Buffer.from('GET ', 'latin1')

export type StartupStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'http-get' }
  /** To be answered; a `N` is followed by `feed` of what comes next, a `S` by a new reader. */
  | { readonly kind: 'ssl-request'; readonly hasTrailingBytes: boolean }
  | { readonly kind: 'gssenc-request'; readonly hasTrailingBytes: boolean }
  /** `bytes` begin the ClientHello. */
  | { readonly kind: 'direct-tls'; readonly bytes: Buffer }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer }
  | { readonly kind: 'startup'; readonly packet: StartupPacket; readonly rest: Buffer }
  | { readonly kind: 'refused'; readonly error: PoolerError }

export interface StartupReaderOptions {
  /** The bytes come out of a TLS session, so nothing may ask for encryption again. */
  readonly isTls: boolean
}

export class StartupReader {
  readonly #isTls: boolean
  /** Encryption requests seen on this stream: each may come once. */
  readonly #asked = new Set<number>()
  #phase: 'first' | 'later' | 'done' = 'first'
  /** The first `#heldBytes` of `#buffer` are what was not used up yet. */
  #buffer: Buffer = noBytes
  #heldBytes = 0

  constructor(options: StartupReaderOptions) {
    this.#isTls = options.isTls
  }

  /** Never throws for what a peer sends. After a step that ends the start no more may be fed. */
  feed(chunk: Buffer): StartupStep {
    assert(this.#phase !== 'done', 'a start that has ended reads no more')
    this.#hold(chunk)
    const step = this.#read(this.#buffer.subarray(0, this.#heldBytes))
    if (step.kind === 'more') return step
    if (step.kind === 'ssl-request' || step.kind === 'gssenc-request') {
      this.#phase = 'later'
      return step
    }
    this.#phase = 'done'
    this.#keep(noBytes)
    return step
  }

  #hold(chunk: Buffer): void {
    if (this.#heldBytes === 0) {
      this.#keep(chunk)
      return
    }
    const neededBytes = this.#heldBytes + chunk.length
    if (neededBytes > this.#buffer.length) {
      // Doubling keeps a packet that comes one byte at a time from being copied for each byte.
      const grown = Buffer.allocUnsafe(Math.max(neededBytes, 2 * this.#heldBytes))
      this.#buffer.copy(grown, 0, 0, this.#heldBytes)
      this.#buffer = grown
    }
    chunk.copy(this.#buffer, this.#heldBytes)
    this.#heldBytes = neededBytes
  }

  #keep(bytes: Buffer): void {
    this.#buffer = bytes
    this.#heldBytes = bytes.length
  }

  #read(bytes: Buffer): StartupStep {
    if (bytes.length === 0) return { kind: 'more' }
    // A first byte of a length in range is zero; nothing else needs to be waited for.
    if (bytes[0] !== 0) return this.#readForeign(bytes)
    if (bytes.length < 4) return { kind: 'more' }
    const length = bytes.readUInt32BE(0)
    if (length < 8) return refused('ESTARTUPMESSAGE', { reason: `length ${length} is impossible` })
    if (length > startupPacketBytesMax) {
      return refused('ESTARTUPPACKETTOOLARGE', { bytes: length, limit: startupPacketBytesMax })
    }
    if (bytes.length < 8) return { kind: 'more' }
    const major = bytes.readUInt16BE(4)
    const minor = bytes.readUInt16BE(6)
    if (major === 3) return readStartup(bytes, length, minor)
    if (major === requestMajor) {
      if (minor === cancelMinor) return readCancel(bytes, length)
      if (minor === sslMinor || minor === gssencMinor) {
        return this.#readEncryptionRequest(bytes, length, minor)
      }
    }
    return refused('EUNSUPPORTEDPROTOCOL', { what: `protocol ${major}.${minor}` })
  }

  /** What is no Postgres packet: a load balancer's probe, direct TLS, or nothing for us. */
  #readForeign(bytes: Buffer): StartupStep {
    if (this.#phase === 'first' && !this.#isTls) {
      if (bytes[0] === tlsHandshakeByte) return { kind: 'direct-tls', bytes }
      const seen = bytes.subarray(0, httpGet.length)
      if (seen.equals(httpGet)) return { kind: 'http-get' }
      if (seen.equals(httpGet.subarray(0, seen.length))) return { kind: 'more' }
    }
    return refused('ESTARTUPMESSAGE', { reason: 'these bytes do not begin a Postgres connection' })
  }

  #readEncryptionRequest(bytes: Buffer, length: number, minor: number): StartupStep {
    const name = minor === sslMinor ? 'SSLRequest' : 'GSSENCRequest'
    if (length !== 8) {
      return refused('ESTARTUPMESSAGE', { reason: `a ${name} of ${length} bytes is impossible` })
    }
    if (this.#isTls) {
      return refused('ESTARTUPMESSAGE', { reason: `a ${name} inside TLS` })
    }
    if (this.#asked.has(minor)) {
      return refused('ESTARTUPMESSAGE', { reason: `a second ${name}` })
    }
    this.#asked.add(minor)
    this.#keep(bytes.subarray(8))
    const hasTrailingBytes = this.#heldBytes > 0
    return { kind: minor === sslMinor ? 'ssl-request' : 'gssenc-request', hasTrailingBytes }
  }
}

function readCancel(bytes: Buffer, length: number): StartupStep {
  const secretBytes = length - cancelHeaderBytes
  if (secretBytes < cancelSecretBytesMin || secretBytes > cancelSecretBytesMax) {
    return refused('ESTARTUPMESSAGE', {
      reason: `a CancelRequest of ${length} bytes is impossible`,
    })
  }
  if (bytes.length < length) return { kind: 'more' }
  const secret = Buffer.from(bytes.subarray(cancelHeaderBytes, length))
  return { kind: 'cancel', processId: bytes.readInt32BE(8), secret }
}

function readStartup(bytes: Buffer, length: number, minor: number): StartupStep {
  if (bytes.length < length) return { kind: 'more' }
  try {
    const packet = readStartupPacket(minor, bytes.subarray(8, length))
    return { kind: 'startup', packet, rest: bytes.subarray(length) }
  } catch (error) {
    if (error instanceof PoolerError) return { kind: 'refused', error }
    throw error
  }
}

type StartErrorCode = 'ESTARTUPMESSAGE' | 'ESTARTUPPACKETTOOLARGE' | 'EUNSUPPORTEDPROTOCOL'

function refused(code: StartErrorCode, values: Record<string, string | number>): StartupStep {
  return { kind: 'refused', error: new PoolerError(code, { values }) }
}

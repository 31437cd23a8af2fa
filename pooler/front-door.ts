// From an accepted socket to a client connection: whose address counts (the PROXY protocol), whether
// there is room, and the word to those for whom there is none.
import type { Socket } from 'node:net'
import type { Clock } from '../shared/clock.ts'
import { PoolerError } from '../shared/errors.ts'
import type { Log } from '../shared/log.ts'
import { noBytes } from '../shared/no-bytes.ts'
import { errorResponseOf } from '../shared/protocol/error-response.ts'
import { isAllowed, normalizeAddress } from './accept/address-filter.ts'
import type { Admission, ConnectionQuota } from './accept/connection-quota.ts'
import { readProxyHeader } from './accept/proxy-header.ts'
import type { Newcomer } from './client/newcomer.ts'
import { readChunk, sayGoodbye } from './client/socket-reading.ts'
import { proxyHeadersAwaitedMax, turnedAwayMax } from './config/limits.ts'
import type { Config } from './config/settings.ts'
import type { CounterBook } from './metrics/counter-book.ts'
import type { EaseReads } from './relay/eased-reads.ts'
import type { ListenerMode } from './startup/identify-tenant.ts'

export interface FrontDoorOptions {
  readonly config: Config
  readonly clock: Clock
  readonly log: Log
  readonly quota: ConnectionQuota
  readonly counters: CounterBook
  readonly isOverMemory: () => boolean
  readonly easeReads: EaseReads
  /** Gets each connection that there is room for. */
  readonly onNewcomer: (newcomer: Newcomer, admission: Admission) => void
}

export class FrontDoor {
  readonly #options: FrontDoorOptions
  /** Sockets whose PROXY header has not come. */
  readonly #awaited = new Set<Socket>()
  /** Connections that there is no room for and that are being told so. */
  #turnedAway = 0

  constructor(options: FrontDoorOptions) {
    this.#options = options
  }

  onSocket(socket: Socket, mode: ListenerMode): void {
    socket.on('error', () => socket.destroy())
    this.#options.easeReads(socket)
    const address = normalizeAddress(socket.remoteAddress ?? '')
    if (address === null) {
      socket.destroy()
      return
    }
    const { clock, config } = this.#options
    const acceptedMs = clock.monotonicMs()
    const newcomer = { socket, mode, address, isProxied: false, firstBytes: noBytes, acceptedMs }
    if (isAllowed(config.proxyProtocolTrusted, address)) void this.#readHeader(newcomer)
    else this.#admit(newcomer)
  }

  /** Never rejects. */
  async #readHeader(newcomer: Newcomer): Promise<void> {
    const { socket } = newcomer
    const { clock, config } = this.#options
    if (this.#awaited.size >= proxyHeadersAwaitedMax) {
      const reason = `${proxyHeadersAwaitedMax} connections have not sent their PROXY header`
      this.#turnAway(socket, new PoolerError('EMAXCONNPROCESS', { values: { reason } }))
      return
    }
    this.#awaited.add(socket)
    const limitMs = config.clientLoginTimeoutMs
    const deadline = clock.after(limitMs, () => {
      if (this.#awaited.delete(socket)) {
        this.#turnAway(socket, new PoolerError('EAUTHTIMEOUT', { values: { ms: limitMs } }))
      }
    })
    const named = await withHeader(newcomer)
    deadline.cancel()
    if (!this.#awaited.delete(socket)) return
    if (named === null) socket.destroy()
    else if (named instanceof PoolerError) this.#turnAway(socket, named)
    else this.#admit(named)
  }

  #admit(newcomer: Newcomer): void {
    const { quota, isOverMemory, onNewcomer } = this.#options
    let admission: Admission
    try {
      if (isOverMemory()) {
        throw new PoolerError('EMAXCONNPROCESS', { values: { reason: 'it is short of memory' } })
      }
      admission = quota.admit(newcomer.address)
    } catch (error) {
      if (!(error instanceof PoolerError)) throw error
      this.#turnAway(newcomer.socket, error)
      return
    }
    onNewcomer(newcomer, admission)
  }

  /** Says why, as long as few are being told: a flood must not hold sockets beyond all limits. */
  #turnAway(socket: Socket, error: PoolerError): void {
    const { counters, clock, log } = this.#options
    counters.of(null).errors.count(error.code)
    log.debug({ code: error.code, peer: socket.remoteAddress }, error.message)
    if (this.#turnedAway >= turnedAwayMax) {
      socket.destroy()
      return
    }
    this.#turnedAway++
    socket.once('close', () => {
      this.#turnedAway--
    })
    sayGoodbye(socket, errorResponseOf(error), clock)
  }
}

/** The newcomer as its load balancer names it; null when it left, an error when that cannot be read. */
async function withHeader(newcomer: Newcomer): Promise<Newcomer | PoolerError | null> {
  let bytes: Buffer = noBytes
  for (;;) {
    const chunk = await readChunk(newcomer.socket)
    if (chunk === null) return null
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const header = readProxyHeader(bytes)
    switch (header.kind) {
      case 'more':
        break
      case 'probe':
        return { ...newcomer, firstBytes: bytes }
      case 'malformed':
        return new PoolerError('ESTARTUPMESSAGE', {
          values: { reason: `PROXY protocol header: ${header.reason}` },
          hint: 'Connections from the networks of PROXY_PROTOCOL_TRUSTED begin with a PROXY header of version 1 or 2.',
        })
      case 'header': {
        const address = header.address ?? newcomer.address
        return { ...newcomer, address, isProxied: true, firstBytes: bytes.subarray(header.bytes) }
      }
    }
  }
}

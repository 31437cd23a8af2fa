// A database that only counts: servers that open after a while, and close after a while when they
// are told to. For tests of who gets a server, where nothing runs on one.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { PoolUpstream, ProbeResult } from '../../pooler/pool/pool-options.ts'
import type { OpenedServer } from '../../pooler/pool/server-login.ts'
import { placeOf } from '../../pooler/pool/server-place.ts'
import { type Clock, sleep } from '../../shared/clock.ts'
import { makeTenant } from './tenants.ts'

export interface FakeServersOptions {
  readonly clock: Clock
  readonly openMs: () => number
  readonly closeMs: () => number
  /** What an attempt fails with; null: it succeeds. */
  readonly fault?: () => Error | null
  /** The port that they are dialled at; undefined: any. */
  readonly port?: () => number
}

export class FakeServers {
  readonly #options: FakeServersOptions
  /** As the database counts: from the first byte of an attempt until it has closed its end. */
  count = 0
  countMax = 0
  opened = 0
  /** Those that can be hurt. */
  readonly live = new Set<Duplex>()

  constructor(options: FakeServersOptions) {
    this.#options = options
  }

  upstream(): PoolUpstream {
    const none = async () => {}
    const probe = async (): Promise<ProbeResult> => ({ kind: 'unknown' })
    return { open: () => this.#open(), cancel: none, terminate: none, probe, listen: none }
  }

  async #open(): Promise<OpenedServer> {
    const { clock, openMs, fault, port } = this.#options
    this.count++
    this.countMax = Math.max(this.countMax, this.count)
    await sleep(clock, openMs())
    const error = fault?.() ?? null
    if (error !== null) {
      this.count--
      throw error
    }
    this.opened++
    return {
      socket: this.#socket() as unknown as Socket,
      parameters: new Map(),
      processId: this.opened,
      cancelSecret: Buffer.alloc(4),
      rest: Buffer.alloc(0),
      method: 'trust',
      credentialsUsed: null,
      place: placeOf('127.0.0.1', makeTenant(port && { dbPort: port() }), null),
    }
  }

  #socket(): Duplex {
    const { clock, closeMs } = this.#options
    const socket = new Duplex({
      read() {},
      write: (_chunk, _encoding, done) => done(),
      final(done) {
        clock.after(closeMs(), () => this.push(null))
        done()
      },
    })
    this.live.add(socket)
    socket.once('close', () => {
      this.live.delete(socket)
      this.count--
    })
    return socket
  }
}

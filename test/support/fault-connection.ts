// One connection through the fault proxy: two sockets and what goes from each to the other.

import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Direction, Faults } from './fault-proxy.ts'
import { whole, writeSegments } from './segments.ts'

/** How a connection ends: an end-of-file each way, or a reset. */
export type Cut = 'fin' | 'reset'

export class FaultConnection {
  /** Bytes that were passed on. */
  readonly forwarded = { toServer: 0, toClient: 0 }
  /** Resolves when both sockets are closed. */
  readonly closed: Promise<void>
  readonly #client: net.Socket
  readonly #server: net.Socket
  readonly #faults: Faults
  readonly #left: Record<Direction, { bytes: number; cut: Cut } | null> = {
    toServer: null,
    toClient: null,
  }
  #isSevered = false
  #waiting: (() => void)[] = []
  #open = 2
  #onClosed: () => void = () => {}

  constructor(client: net.Socket, target: { host: string; port: number }, faults: Faults) {
    this.#client = client
    this.#faults = faults
    this.#server = net.connect({ ...target, noDelay: true, allowHalfOpen: true })
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve
    })
    this.#pump(client, this.#server, 'toServer')
    this.#pump(this.#server, client, 'toClient')
  }

  /** Passes on `bytes` more in this direction, then ends the connection on both sides. */
  cutAfter(direction: Direction, bytes: number, cut: Cut = 'reset'): void {
    this.#left[direction] = { bytes, cut }
    if (bytes === 0) this.#end(cut)
  }

  reset(): void {
    this.#end('reset')
  }

  /** Resets one side; the other hears nothing of it and is read no more to any effect. */
  resetSide(side: 'client' | 'server'): void {
    this.#isSevered = true
    const socket = side === 'client' ? this.#client : this.#server
    socket.resetAndDestroy()
  }

  /** Faults have changed: what waits may go on. */
  look(): void {
    for (const goOn of this.#waiting.splice(0)) goOn()
  }

  #pump(from: net.Socket, to: net.Socket, direction: Direction): void {
    let line = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      from.pause()
      line = line.then(async () => {
        await this.#forward(to, chunk, direction)
        from.resume()
      })
    })
    from.on('end', () => {
      line = line.then(async () => {
        await this.#untilFlowing(direction)
        if (!this.#isLost(direction)) to.end()
      })
    })
    from.on('error', () => {})
    from.on('close', (hadError) => {
      if (!this.#isLost(direction)) {
        if (hadError) to.resetAndDestroy()
        else void line.then(() => to.destroySoon())
      }
      this.#onSocketClosed()
    })
  }

  async #forward(to: net.Socket, chunk: Buffer, direction: Direction): Promise<void> {
    if (this.#faults.delayMs > 0) await delay(this.#faults.delayMs)
    await this.#untilFlowing(direction)
    if (this.#isLost(direction)) return
    const limit = this.#left[direction]
    const bytes = limit === null ? chunk : chunk.subarray(0, limit.bytes)
    this.forwarded[direction] += bytes.length
    await writeSegments(to, bytes, this.#faults.segmentation ?? whole)
    if (limit === null) return
    limit.bytes -= bytes.length
    if (limit.bytes === 0) this.#end(limit.cut)
  }

  #isLost(direction: Direction): boolean {
    return this.#isSevered || this.#faults.swallowed.has(direction)
  }

  async #untilFlowing(direction: Direction): Promise<void> {
    while (this.#faults.stalled.has(direction) && this.#open > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
  }

  #end(cut: Cut): void {
    for (const socket of [this.#client, this.#server]) {
      if (cut === 'reset') socket.resetAndDestroy()
      else socket.destroySoon()
    }
  }

  #onSocketClosed(): void {
    this.#open -= 1
    this.look()
    if (this.#open === 0) this.#onClosed()
  }
}

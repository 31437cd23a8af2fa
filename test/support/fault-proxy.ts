// A TCP proxy in front of a real server that breaks one thing on command. It forwards bytes as they
// are, ends and resets included, and knows no protocol.

import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { FaultConnection } from './fault-connection.ts'
import type { Segmentation } from './segments.ts'

export type Direction = 'toServer' | 'toClient'
export const bothDirections: readonly Direction[] = ['toServer', 'toClient']

/** What holds for every chunk on its way, on connections old and new. */
export interface Faults {
  /** Each chunk waits so long, in both directions. */
  delayMs: number
  /** How chunks are cut; null: as they came. */
  segmentation: Segmentation | null
  /** Nothing is read from the sender any more; its window fills up. */
  readonly stalled: Set<Direction>
  /** Bytes and ends are taken and thrown away, as behind a firewall that forgot the connection. */
  readonly swallowed: Set<Direction>
}

export class FaultProxy {
  readonly faults: Faults = {
    delayMs: 0,
    segmentation: null,
    stalled: new Set(),
    swallowed: new Set(),
  }
  /** Connections that were ever accepted. */
  accepted = 0
  readonly #connections = new Set<FaultConnection>()
  #server: net.Server | null = null
  #port = 0
  #target: { readonly host: string; readonly port: number }
  #refuses = false

  private constructor(target: { host: string; port: number }) {
    this.#target = target
  }

  static async start(target: { host?: string; port: number }): Promise<FaultProxy> {
    const proxy = new FaultProxy({ host: target.host ?? '127.0.0.1', port: target.port })
    await proxy.openPort()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** Connections at this moment, oldest first. */
  get connections(): FaultConnection[] {
    return [...this.#connections]
  }

  /** New connections go there; those that are open stay where they are. */
  retarget(port: number, host = '127.0.0.1'): void {
    this.#target = { host, port }
  }

  /** Sender and receiver both believe that the connection stands. */
  stall(...directions: Direction[]): void {
    for (const direction of directions) this.faults.stalled.add(direction)
  }

  swallow(...directions: Direction[]): void {
    for (const direction of directions) this.faults.swallowed.add(direction)
  }

  /** Takes back every fault that holds for chunks; what was swallowed is lost. */
  heal(): void {
    this.faults.delayMs = 0
    this.faults.segmentation = null
    this.faults.stalled.clear()
    this.faults.swallowed.clear()
    this.#refuses = false
    for (const connection of this.#connections) connection.look()
  }

  /** New connections are accepted and reset at once, until `heal`. */
  resetNew(): void {
    this.#refuses = true
  }

  /** Resets both ends of every connection. */
  resetAll(): void {
    for (const connection of this.#connections) connection.reset()
  }

  /** Closes the port, so that connections are refused; those that are open stay. */
  closePort(): void {
    this.#server?.close()
    this.#server = null
  }

  /** Opens the port again, the same one as before. */
  async openPort(): Promise<void> {
    const server = net.createServer({ noDelay: true, allowHalfOpen: true })
    server.on('connection', (socket) => this.#onConnection(socket))
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    this.#port = (server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.closePort()
    this.resetAll()
    await Promise.all(this.connections.map(({ closed }) => closed))
  }

  #onConnection(socket: net.Socket): void {
    this.accepted += 1
    if (this.#refuses) {
      socket.on('error', () => {})
      socket.resetAndDestroy()
      return
    }
    const connection = new FaultConnection(socket, this.#target, this.faults)
    this.#connections.add(connection)
    void connection.closed.then(() => this.#connections.delete(connection))
  }
}

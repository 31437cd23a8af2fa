// Stands in front of Postgres and lets cancel requests pass when the test says so.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { eventually } from './eventually.ts'
import type { PostgresAccess } from './postgres.ts'
import { cancelCode } from './raw-messages.ts'

export class HeldCancels {
  readonly #server: Server
  readonly #open = new Set<Socket>()
  #held: (() => Socket)[] = []

  constructor({ host, port }: Pick<PostgresAccess, 'host' | 'port'>) {
    this.#server = createServer((near) => {
      this.#keep(near)
      near.once('data', (first: Buffer) => {
        const pass = () => {
          const far = connect(port, host)
          this.#keep(far)
          far.on('close', () => near.destroy())
          near.on('close', () => far.destroy())
          far.write(first)
          near.pipe(far)
          far.pipe(near)
          return far
        }
        const isCancel = first.length >= 8 && first.readInt32BE(4) === cancelCode
        if (isCancel) this.#held.push(pass)
        else pass()
      })
    })
  }

  /** The port for the pooler to connect to. */
  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Fulfilled when one is on its way. */
  async untilHeld(): Promise<void> {
    await eventually(() => this.#held.length > 0)
  }

  /** Fulfilled when Postgres has told the server. */
  async release(): Promise<void> {
    const passing = this.#held.splice(0).map((pass) => pass())
    await Promise.all(passing.map((far) => new Promise((resolve) => far.on('close', resolve))))
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #keep(socket: Socket): void {
    this.#open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#open.delete(socket))
  }
}

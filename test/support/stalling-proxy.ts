import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy before one address that can stop passing bytes on while connections stay open. */
export class StallingProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Connections so far, open or not. */
  seen = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(host: string, port: number): Promise<StallingProxy> {
    const server = createServer()
    const proxy = new StallingProxy(server)
    server.on('connection', (near) => proxy.#join(near, connect(port, host)))
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  get connectionCount(): number {
    return this.#sockets.size / 2
  }

  /** From now on bytes of open connections go nowhere; new connections pass. */
  stall(): void {
    for (const socket of this.#sockets) {
      socket.unpipe()
      socket.resume()
    }
  }

  /** From now on new connections are turned away. */
  refuse(): void {
    this.#server.removeAllListeners('connection')
    this.#server.on('connection', (socket) => socket.destroy())
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  #join(near: Socket, far: Socket): void {
    this.seen++
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one)
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
  }
}

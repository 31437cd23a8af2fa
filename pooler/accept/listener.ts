// One port in one mode: accepts sockets, sets them up, hands them on. What is spoken on them, how
// many there may be and who may come is decided by others.
import { createServer, type Server, type Socket } from 'node:net'
import { acceptBacklogMax } from '../config/limits.ts'
import type { ListenerMode } from '../startup/identify-tenant.ts'

const keepaliveDelayMs = 60_000

export interface ListenerOptions {
  readonly mode: ListenerMode
  /** null: all addresses. */
  readonly host: string | null
  /** 0: any free one, told by `port`. */
  readonly port: number
  /** A socket that listens already, with which this process was started; null: none. */
  readonly fd: number | null
  /** The name of the port's setting, for the person whose port is taken. */
  readonly portSetting: string
  /** Gets each socket once, with an address; must listen to its `error` before it returns. */
  readonly onSocket: (socket: Socket, mode: ListenerMode) => void
  /** A socket that could not be accepted (EMFILE, ECONNABORTED); accepting goes on. */
  readonly onAcceptFault: (error: Error) => void
}

/** Why a port cannot be opened: one line that names the port and its setting. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepaliveDelayMs },
      (socket) => this.#onSocket(socket),
    )
  }

  /** Throws ListenError. */
  listen(): Promise<void> {
    const { fd, host, port } = this.#options
    const where = fd === null ? { port, ...(host === null ? {} : { host }) } : { fd }
    return new Promise((resolve, reject) => {
      const onFault = (cause: Error): void => reject(this.#explain(cause))
      this.#server.once('error', onFault)
      this.#server.listen({ ...where, backlog: acceptBacklogMax })
      this.#server.once('listening', () => {
        this.#server.off('error', onFault)
        this.#server.on('error', (error) => this.#options.onAcceptFault(error))
        resolve()
      })
    })
  }

  /** The port that is listened on; null before `listen` and after `stopAccepting`. */
  get port(): number | null {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : null
  }

  /** The descriptor of the listening socket, for a process that takes over; null: there is none. */
  get descriptor(): number | null {
    return descriptorOf(this.#server)
  }

  /** At once, and for good; sockets that were handed on live on. */
  stopAccepting(): void {
    this.#server.close()
  }

  #onSocket(socket: Socket): void {
    // A peer that reset before we came to it has no address any more: nobody is there to serve.
    if (socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    this.#options.onSocket(socket, this.#options.mode)
  }

  #explain(cause: Error): ListenError {
    const { host, port, portSetting } = this.#options
    const where = `port ${port} (${portSetting})${host === null ? '' : ` on ${host}`}`
    const text = `${where} ${whyNotOpen(cause, portSetting)}`
    return new ListenError(text, { cause })
  }
}

/** Node has no public name for it. -1 on platforms without descriptors. */
export function descriptorOf(server: Server): number | null {
  const { _handle: handle } = server as Server & { readonly _handle?: { readonly fd?: number } }
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : null
}

function whyNotOpen(cause: Error, portSetting: string): string {
  switch ('code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return `is in use: stop what listens there, or set ${portSetting} to another port`
    case 'EACCES':
      return `may not be opened by this user: set ${portSetting} to a port above 1023`
    default:
      return `cannot be opened: ${cause.message}`
  }
}

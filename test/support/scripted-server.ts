// A server that plays one script per connection, step by step, for faults that no real Postgres
// shows on demand. It knows no protocol: what a script does not say does not happen.

import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import { patienceMs } from './eventually.ts'
import type { RawMessage } from './raw-messages.ts'
import { typesOf } from './raw-replies.ts'
import { RawStream } from './raw-stream.ts'
import type { Segmentation } from './segments.ts'

/** One act of a script. What it throws is told by `ScriptedServer.finished`. */
export type Step = (connection: ScriptedConnection) => Promise<void> | void

export interface ScriptedServerOptions {
  /** Bound of each step's wait. */
  readonly waitMs?: number
  readonly segmentation?: Segmentation
}

/** One accepted connection with the messages that the script has read from it. */
export class ScriptedConnection {
  readonly stream: RawStream
  /** Settles when the script is over, with what a step threw. */
  readonly played: Promise<void>

  constructor(socket: net.Socket, script: readonly Step[], options: ScriptedServerOptions) {
    this.stream = new RawStream(socket, { ...options, describe: describeRequest })
    this.played = this.#play(script)
    this.played.catch(() => {})
  }

  get received(): readonly RawMessage[] {
    return this.stream.received
  }

  /** Reads as many messages as there are letters and fails unless they are these, in this order. */
  async expect(...types: string[]): Promise<RawMessage[]> {
    const wanted = types.join('')
    const messages: RawMessage[] = []
    while (messages.length < wanted.length) {
      messages.push(await this.stream.next())
      if (!wanted.startsWith(typesOf(messages))) {
        throw this.stream.unexpected(`messages ${wanted}, not ${typesOf(messages)}`)
      }
    }
    return messages
  }

  /** Puts the server's side of TLS around the connection. */
  async startTls(options: tls.TLSSocketOptions): Promise<void> {
    const secured = new tls.TLSSocket(this.stream.socket, { ...options, isServer: true })
    let isSecure = false
    secured.once('secure', () => {
      isSecure = true
      this.stream.check()
    })
    this.stream.replaceSocket(secured)
    await this.stream.until('a TLS session', () => isSecure)
  }

  /** When the script is over the connection stays as the last step left it. */
  async #play(script: readonly Step[]): Promise<void> {
    for (const [index, step] of script.entries()) {
      try {
        await step(this)
      } catch (error) {
        this.stream.close()
        const text = error instanceof Error ? error.message : String(error)
        throw new Error(`step ${index + 1} of ${script.length}: ${text}`, { cause: error })
      }
    }
  }
}

export class ScriptedServer {
  readonly connections: ScriptedConnection[] = []
  readonly #server: net.Server
  #onConnection: () => void = () => {}

  private constructor(server: net.Server) {
    this.#server = server
  }

  /**
   * The first connection plays the first script and so on; a connection without one is reset at
   * once. A function makes the script for the connection of that index.
   */
  static async start(
    scripts: readonly (readonly Step[])[] | ((index: number) => readonly Step[]),
    options: ScriptedServerOptions = {},
  ): Promise<ScriptedServer> {
    const scriptFor = typeof scripts === 'function' ? scripts : (index: number) => scripts[index]
    const server = net.createServer({ noDelay: true, allowHalfOpen: true })
    const scripted = new ScriptedServer(server)
    server.on('connection', (socket) => {
      const script = scriptFor(scripted.connections.length)
      const connection = new ScriptedConnection(socket, script ?? [reset()], options)
      scripted.connections.push(connection)
      scripted.#onConnection()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return scripted
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Waits until `count` connections were made and their scripts are over; throws the first fault. */
  async finished(count: number, waitMs = patienceMs): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (this.connections.length < count) return
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        reject(new Error(`${this.connections.length} of ${count} connections after ${waitMs} ms`))
      }, waitMs)
      this.#onConnection = look
      look()
    })
    await Promise.all(this.connections.map(({ played }) => played))
  }

  /** Closes every connection and the port. */
  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const { stream } of this.connections) stream.close()
    await closed
  }
}

/** Closes with RST. */
export const reset = (): Step => (connection) => connection.stream.close(true)

/** Letters and texts of a client's messages; replies are described elsewhere. */
function describeRequest({ type, body }: RawMessage): string {
  const isText = type === 'Q' || type === 'P' || type === 'p'
  return isText ? `${type}(${body.toString('utf8', 0, 80).replaceAll('\0', ' ').trim()})` : type
}

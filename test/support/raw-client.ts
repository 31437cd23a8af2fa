// A Postgres client that does only what a test tells it to: any bytes, in any split, at any moment.
// It keeps no protocol state. Every wait ends, and then tells what had arrived until then.

import net from 'node:net'
import tls from 'node:tls'
import { type LoginOptions, type LoginResult, login } from './raw-login.ts'
import * as raw from './raw-messages.ts'
import { typesOf } from './raw-replies.ts'
import { RawStream, type StreamEnd } from './raw-stream.ts'
import type { Segmentation } from './segments.ts'

export interface RawClientOptions {
  readonly port: number
  readonly host?: string
  /** `request`: SSLRequest first; `direct`: TLS from the first byte with ALPN `postgresql`. */
  readonly tls?: 'none' | 'request' | 'direct'
  readonly serverName?: string
  /** PEM that the server's certificate must chain to; without it no certificate is checked. */
  readonly ca?: string
  /** Instead of `postgresql` in direct TLS and of none behind SSLRequest. */
  readonly alpn?: readonly string[]
  /** How all bytes are cut unless a call says otherwise. */
  readonly segmentation?: Segmentation
  /** Bound of each wait. */
  readonly waitMs?: number
  /** Sent before all else: a PROXY header, or bytes that may not be there. */
  readonly preamble?: Buffer
  readonly localAddress?: string
}

export class RawClient {
  readonly options: RawClientOptions
  readonly #stream: RawStream

  private constructor(options: RawClientOptions, socket: net.Socket) {
    this.options = options
    this.#stream = new RawStream(socket, options)
  }

  static async connect(options: RawClientOptions): Promise<RawClient> {
    const { host = '127.0.0.1', port, localAddress } = options
    const from = localAddress === undefined ? {} : { localAddress }
    const socket = net.connect({ host, port, noDelay: true, ...from })
    const client = new RawClient(options, socket)
    socket.once('connect', () => client.#stream.check())
    try {
      await client.#stream.until('a TCP connection', () => socket.readyState === 'open')
      if (options.preamble !== undefined) await client.send(options.preamble)
      if (options.tls === 'request') await client.requestTls()
      if (options.tls === 'direct') await client.startTls(options.alpn ?? ['postgresql'])
    } catch (error) {
      client.close()
      throw error
    }
    return client
  }

  /** Connects and logs in; fails with the server's error where it refuses. */
  static async loggedIn(options: RawClientOptions & LoginOptions): Promise<RawClient> {
    const client = await RawClient.connect(options)
    try {
      await client.login(options)
    } catch (error) {
      client.close()
      throw error
    }
    return client
  }

  get end(): StreamEnd {
    return this.#stream.end
  }

  get socket(): net.Socket {
    return this.#stream.socket
  }

  /** Every message received so far, in order, whoever waited for it. */
  get received(): readonly raw.RawMessage[] {
    return this.#stream.received
  }

  /** Bytes that arrived behind the last whole message. */
  get restBytes(): number {
    return this.#stream.restBytes
  }

  /** The server's certificate in DER once TLS is up. */
  get serverCertificate(): Buffer | null {
    const { socket } = this.#stream
    return socket instanceof tls.TLSSocket ? socket.getPeerCertificate().raw : null
  }

  /** Resolves when the kernel has all bytes; without error when the server hung up meanwhile. */
  send(bytes: Buffer, segmentation?: Segmentation): Promise<void> {
    return this.#stream.send(bytes, segmentation)
  }

  query(sql: string): Promise<void> {
    return this.send(raw.query(sql))
  }

  /** Parse, Bind, Describe of the portal, Execute and Sync of the unnamed statement. */
  extendedQuery(sql: string, values: readonly (string | null)[] = []): Promise<void> {
    return this.send(
      Buffer.concat([
        raw.parse('', sql),
        raw.bind({ values }),
        raw.describeMessage('portal'),
        raw.execute(),
        raw.sync(),
      ]),
    )
  }

  /** The next message not yet handed out. */
  next(): Promise<raw.RawMessage> {
    return this.#stream.next()
  }

  /** Reads as many messages as there are letters and fails unless they are these, in this order. */
  async expect(...types: string[]): Promise<raw.RawMessage[]> {
    const wanted = types.join('')
    const messages: raw.RawMessage[] = []
    while (messages.length < wanted.length) {
      messages.push(await this.next())
      if (!wanted.startsWith(typesOf(messages))) {
        throw this.#stream.unexpected(`messages ${wanted}, not ${typesOf(messages)}`)
      }
    }
    return messages
  }

  /** Reads up to and with the next ReadyForQuery. */
  untilReady(): Promise<raw.RawMessage[]> {
    return this.untilType('Z')
  }

  async untilType(type: string): Promise<raw.RawMessage[]> {
    const messages: raw.RawMessage[] = []
    do messages.push(await this.next())
    while (messages.at(-1)?.type !== type)
    return messages
  }

  /** Reads `count` times up to a ReadyForQuery. */
  async untilReadies(count: number): Promise<raw.RawMessage[]> {
    const messages: raw.RawMessage[] = []
    for (let left = count; left > 0; left -= 1) messages.push(...(await this.untilReady()))
    return messages
  }

  /** Everything not yet handed out up to the end of the stream; a reset is an end too. */
  readAll(): Promise<raw.RawMessage[]> {
    return this.#stream.readAll()
  }

  /** What has arrived and was not handed out; waits for nothing. */
  pending(): raw.RawMessage[] {
    return this.#stream.pending()
  }

  /** The next bytes as they come, for answers that are no messages. */
  readBytes(count: number): Promise<Buffer> {
    return this.#stream.take(count)
  }

  /** All bytes up to the end of the stream, for answers that are no messages (HTTP). */
  readRest(): Promise<Buffer> {
    return this.#stream.takeRest()
  }

  /** The one byte that answers SSLRequest or GSSENCRequest. */
  async answerByte(): Promise<string> {
    return (await this.readBytes(1)).toString('latin1')
  }

  /** Stops taking bytes from the kernel, so that the sender meets a full window. */
  pauseReading(): void {
    this.#stream.socket.pause()
  }

  resumeReading(): void {
    this.#stream.socket.resume()
  }

  login(options: LoginOptions): Promise<LoginResult> {
    return login(this, options)
  }

  /** Sends SSLRequest and starts TLS on `S`; fails on another answer. */
  async requestTls(): Promise<void> {
    await this.send(raw.sslRequest())
    const answer = await this.answerByte()
    if (answer !== 'S') throw this.#stream.unexpected(`S for SSLRequest, not ${answer}`)
    await this.startTls(this.options.alpn ?? [])
  }

  async startTls(alpn: readonly string[]): Promise<void> {
    const { ca, serverName } = this.options
    const secured = tls.connect({
      socket: this.#stream.socket,
      rejectUnauthorized: ca !== undefined,
      ...(ca === undefined ? {} : { ca }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    })
    let isSecure = false
    secured.once('secureConnect', () => {
      isSecure = true
      this.#stream.check()
    })
    this.#stream.replaceSocket(secured)
    await this.#stream.until('a TLS session', () => isSecure)
  }

  /** Terminate, then end-of-file. */
  async terminate(): Promise<void> {
    await this.send(raw.terminate())
    this.halfClose()
  }

  /** Sends end-of-file and goes on reading. */
  halfClose(): void {
    this.#stream.socket.end()
  }

  /** Closes without Terminate. */
  close(): void {
    this.#stream.close()
  }

  /** Closes with RST. */
  reset(): void {
    this.#stream.close(true)
  }

  /** Sends a CancelRequest on a connection of its own and waits until the server has closed it. */
  async cancel(processId: number, secret: Buffer): Promise<void> {
    const other = await RawClient.connect(this.options)
    await other.send(raw.cancelRequest(processId, secret))
    await other.readAll()
    other.close()
  }
}

// A Postgres client that does only what a test tells it to: any bytes, in any split, at any moment.
// It keeps no protocol state. Every wait ends, and then tells what had arrived until then.

import net from 'node:net'
import tls from 'node:tls'
import { type LoginOptions, type LoginResult, login } from './raw-login.ts'
import * as raw from './raw-messages.ts'
import { describeReply, MessageCutter, typesOf } from './raw-replies.ts'
import { type Segmentation, whole, writeSegments } from './segments.ts'

export interface RawClientOptions {
  readonly port: number
  readonly host?: string
  /** `request`: SSLRequest first; `direct`: TLS from the first byte with ALPN `postgresql`. */
  readonly tls?: 'none' | 'request' | 'direct'
  readonly serverName?: string
  /** PEM that the server's certificate must chain to; without it no certificate is checked. */
  readonly ca?: string
  /** Instead of `postgresql` in direct TLS; an empty list: no ALPN. */
  readonly alpn?: readonly string[]
  /** How all bytes are cut unless a call says otherwise. */
  readonly segmentation?: Segmentation
  /** Bound of each wait. */
  readonly waitMs?: number
  /** Sent before all else, in one write with what follows where TLS is not asked for. */
  readonly preamble?: Buffer
  readonly localAddress?: string
}

/** What ended the stream: end-of-file, a reset or another error, or our own close. */
export type StreamEnd = 'open' | 'fin' | 'reset' | 'closed'

export class RawClient {
  /** Every message received so far, in order, whoever waited for it. */
  readonly received: raw.RawMessage[] = []
  readonly options: RawClientOptions
  #socket: net.Socket
  #cutter = new MessageCutter()
  #readTo = 0
  #end: StreamEnd = 'open'
  #fault: Error | null = null
  #wake: () => void = () => {}
  #isFraming = true
  #unlisten: () => void = () => {}

  private constructor(options: RawClientOptions, socket: net.Socket) {
    this.options = options
    this.#socket = socket
    this.#listen(socket)
  }

  static async connect(options: RawClientOptions): Promise<RawClient> {
    const socket = net.connect({
      host: options.host ?? '127.0.0.1',
      port: options.port,
      noDelay: true,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    })
    const client = new RawClient(options, socket)
    await client.#until('a TCP connection', () => socket.readyState === 'open', socket, 'connect')
    if (options.preamble !== undefined) await client.send(options.preamble)
    if (options.tls === 'request') await client.requestTls()
    if (options.tls === 'direct') await client.startTls(options.alpn ?? ['postgresql'])
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
    return this.#end
  }

  get socket(): net.Socket {
    return this.#socket
  }

  /** The server's certificate in DER once TLS is up. */
  get serverCertificate(): Buffer | null {
    const socket = this.#socket
    return socket instanceof tls.TLSSocket ? socket.getPeerCertificate().raw : null
  }

  // Writing

  /** Resolves when the kernel has all bytes; without error when the server hung up meanwhile. */
  send(bytes: Buffer, segmentation = this.options.segmentation ?? whole): Promise<void> {
    return writeSegments(this.#socket, bytes, segmentation)
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

  // Reading

  /** The next message not yet handed out. */
  async next(): Promise<raw.RawMessage> {
    await this.#until('a message', () => this.received.length > this.#readTo)
    this.#readTo += 1
    return this.received[this.#readTo - 1] as raw.RawMessage
  }

  /** Reads as many messages as there are letters and fails unless they are these, in this order. */
  async expect(...types: string[]): Promise<raw.RawMessage[]> {
    const wanted = types.join('')
    const messages: raw.RawMessage[] = []
    while (messages.length < wanted.length) {
      messages.push(await this.next())
      if (!wanted.startsWith(typesOf(messages))) throw this.#unexpected(`messages ${wanted}`)
    }
    return messages
  }

  /** Reads up to and with the next ReadyForQuery. */
  async untilReady(): Promise<raw.RawMessage[]> {
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
  async readAll(): Promise<raw.RawMessage[]> {
    await this.#until('the end of the stream', () => this.#end !== 'open')
    const messages = this.received.slice(this.#readTo)
    this.#readTo = this.received.length
    return messages
  }

  /** What has arrived and was not handed out; waits for nothing. */
  pending(): raw.RawMessage[] {
    return this.received.slice(this.#readTo)
  }

  /** Bytes that arrived behind the last whole message. */
  get restBytes(): number {
    return this.#cutter.restBytes
  }

  /** Raw bytes as they come, for answers that are no messages (HTTP, `N`); stops framing for good. */
  async readBytes(count: number): Promise<Buffer> {
    this.#isFraming = false
    await this.#until(`${count} bytes`, () => this.#cutter.restBytes >= count)
    return this.#cutter.take(count)
  }

  /** Raw bytes up to the end of the stream; stops framing for good. */
  async readRest(): Promise<Buffer> {
    this.#isFraming = false
    await this.#until('the end of the stream', () => this.#end !== 'open')
    return this.#cutter.take()
  }

  /** Stops taking bytes from the kernel, so that the sender meets a full window. */
  pauseReading(): void {
    this.#socket.pause()
  }

  resumeReading(): void {
    this.#socket.resume()
  }

  // Life cycle

  login(options: LoginOptions): Promise<LoginResult> {
    return login(this, options)
  }

  /** Sends SSLRequest and starts TLS on `S`; fails on another answer. */
  async requestTls(): Promise<void> {
    await this.send(raw.sslRequest())
    const answer = await this.answerByte()
    if (answer !== 'S') throw this.#unexpected(`S for SSLRequest, not ${answer}`)
    await this.startTls(this.options.alpn ?? [])
  }

  /** The one byte that answers SSLRequest or GSSENCRequest; framing goes on behind it. */
  async answerByte(): Promise<string> {
    this.#isFraming = false
    await this.#until('one byte', () => this.#cutter.restBytes > 0)
    const answer = this.#cutter.take(1).toString('latin1')
    this.#isFraming = true
    this.#cut()
    return answer
  }

  async startTls(alpn: readonly string[]): Promise<void> {
    const { ca, serverName } = this.options
    const plain = this.#socket
    this.#unlisten()
    const secured = tls.connect({
      socket: plain,
      rejectUnauthorized: ca !== undefined,
      ...(ca === undefined ? {} : { ca }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    })
    this.#socket = secured
    this.#listen(secured)
    let isSecure = false
    secured.once('secureConnect', () => {
      isSecure = true
    })
    await this.#until('a TLS session', () => isSecure, secured, 'secureConnect')
  }

  /** Terminate, then end-of-file. */
  async terminate(): Promise<void> {
    await this.send(raw.terminate())
    this.halfClose()
  }

  /** Sends end-of-file and goes on reading. */
  halfClose(): void {
    this.#socket.end()
  }

  /** Closes without Terminate. */
  close(): void {
    this.#finish('closed')
    this.#socket.destroy()
  }

  /** Closes with RST. */
  reset(): void {
    this.#finish('closed')
    this.#socket.resetAndDestroy()
  }

  /** Sends a CancelRequest on a connection of its own and waits until the server has closed it. */
  async cancel(processId: number, secret: Buffer): Promise<void> {
    const other = await RawClient.connect(this.options)
    await other.send(raw.cancelRequest(processId, secret))
    await other.readAll()
    other.close()
  }

  #listen(socket: net.Socket): void {
    const onData = (chunk: Buffer) => {
      this.#cutter.push(chunk)
      this.#cut()
    }
    const onEnd = () => this.#finish('fin')
    const onClose = () => this.#finish('closed')
    const onError = (error: Error) => this.#finish('reset', error)
    socket.setNoDelay(true)
    socket.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onError)
    this.#unlisten = () => {
      socket.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onError)
    }
  }

  #cut(): void {
    try {
      while (this.#isFraming) {
        const next = this.#cutter.next()
        if (next === null) break
        this.received.push(next)
      }
    } catch (error) {
      this.#finish('closed', error as Error)
      this.#socket.destroy()
    }
    this.#wake()
  }

  #finish(end: StreamEnd, fault: Error | null = null): void {
    if (this.#end === 'open') {
      this.#end = end
      this.#fault = fault
    }
    this.#wake()
  }

  /** Waits until `isMet`; `event` of `emitter` is one more reason to look again. */
  async #until(
    what: string,
    isMet: () => boolean,
    emitter?: net.Socket,
    event = '',
  ): Promise<void> {
    if (isMet()) return
    const waitMs = this.options.waitMs ?? 5000
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => settle(this.#unexpected(`${what} in ${waitMs} ms`)), waitMs)
      const settle = (error?: Error) => {
        clearTimeout(timer)
        emitter?.off(event, look)
        this.#wake = () => {}
        if (error === undefined) resolve()
        else reject(error)
      }
      const look = () => {
        if (isMet()) settle()
        else if (this.#end !== 'open') settle(this.#unexpected(what))
      }
      this.#wake = look
      emitter?.once(event, look)
      look()
    })
  }

  #unexpected(wanted: string): Error {
    const last = this.received.slice(-20).map(describeReply).join(' ')
    const rest = this.#cutter.restBytes === 0 ? '' : ` and ${this.#cutter.restBytes} bytes`
    return new Error(
      `wanted ${wanted}; stream ${this.#end}; received: ${last || 'nothing'}${rest}`,
      {
        cause: this.#fault,
      },
    )
  }
}

// One end of a connection for tests, whichever side it plays: bytes out in any split, bytes in cut
// into messages when asked, and waits that end. What a wait that fails had seen is in its text.

import type net from 'node:net'
import { patienceMs } from './eventually.ts'
import type { RawMessage } from './raw-messages.ts'
import { describeReply, MessageCutter } from './raw-replies.ts'
import { type Segmentation, whole, writeSegments } from './segments.ts'

/** What ended the stream: end-of-file, a reset or another error, or a close of our own. */
export type StreamEnd = 'open' | 'fin' | 'reset' | 'closed'

export interface RawStreamOptions {
  /** Bound of each wait. */
  readonly waitMs?: number
  /** How all bytes are cut unless a call says otherwise. */
  readonly segmentation?: Segmentation
  /** Turns a message into a few words for failure texts. */
  readonly describe?: (message: RawMessage) => string
}

export class RawStream {
  readonly #options: RawStreamOptions
  readonly #cutter = new MessageCutter()
  readonly #received: RawMessage[] = []
  #readTo = 0
  #socket: net.Socket
  #end: StreamEnd = 'open'
  #fault: Error | null = null
  #wake: () => void = () => {}
  #unlisten: () => void = () => {}

  constructor(socket: net.Socket, options: RawStreamOptions = {}) {
    this.#options = options
    this.#socket = socket
    this.#listen(socket)
  }

  get socket(): net.Socket {
    return this.#socket
  }

  get end(): StreamEnd {
    return this.#end
  }

  /** Bytes that arrived behind the last message that was cut. */
  get restBytes(): number {
    return this.#cutter.restBytes
  }

  /** Every message so far, in order, handed out or not. */
  get received(): readonly RawMessage[] {
    this.#cutAll()
    return this.#received
  }

  /** What has arrived and was not handed out; waits for nothing. */
  pending(): RawMessage[] {
    return this.received.slice(this.#readTo)
  }

  /** Goes on over another socket, one with TLS around the first. */
  replaceSocket(socket: net.Socket): void {
    this.#unlisten()
    this.#socket = socket
    this.#listen(socket)
  }

  /** Resolves when the kernel has all bytes; without error when the peer hung up meanwhile. */
  send(bytes: Buffer, segmentation = this.#options.segmentation ?? whole): Promise<void> {
    return writeSegments(this.#socket, bytes, segmentation)
  }

  /** The next message not yet handed out. */
  async next(hasLetter = true): Promise<RawMessage> {
    const hasOne = () => this.#received.length > this.#readTo || this.#cut(hasLetter)
    await this.until('a message', hasOne)
    this.#readTo += 1
    return this.#received[this.#readTo - 1] as RawMessage
  }

  /** Everything not yet handed out up to the end of the stream; a reset is an end too. */
  async readAll(): Promise<RawMessage[]> {
    await this.untilEnd()
    const messages = this.pending()
    this.#readTo = this.#received.length
    return messages
  }

  /** The next bytes, uncut. */
  async take(count: number): Promise<Buffer> {
    await this.until(`${count} bytes`, () => this.#cutter.restBytes >= count)
    return this.#cutter.take(count)
  }

  /** All bytes up to the end of the stream, uncut. */
  async takeRest(): Promise<Buffer> {
    await this.untilEnd()
    return this.#cutter.take()
  }

  untilEnd(): Promise<void> {
    return this.until('the end of the stream', () => this.#end !== 'open')
  }

  /** Closes without a word of the protocol: FIN, or RST where `isReset`. */
  close(isReset = false): void {
    this.finish('closed')
    if (isReset) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }

  finish(end: StreamEnd, fault: Error | null = null): void {
    if (this.#end === 'open') {
      this.#end = end
      this.#fault = fault
    }
    this.#wake()
  }

  /** Looks at `isMet` whenever something happens on the stream; `check` makes it look at once. */
  async until(what: string, isMet: () => boolean): Promise<void> {
    if (isMet()) return
    const waitMs = this.#options.waitMs ?? patienceMs
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error) => {
        clearTimeout(timer)
        this.#wake = () => {}
        if (error === undefined) resolve()
        else reject(error)
      }
      const timer = setTimeout(() => settle(this.unexpected(`${what} in ${waitMs} ms`)), waitMs)
      this.#wake = () => {
        if (isMet()) settle()
        else if (this.#end !== 'open') settle(this.unexpected(what))
      }
      this.#wake()
    })
  }

  check(): void {
    this.#wake()
  }

  /** The error of a wait that met something else: what was wanted, and the last of what came. */
  unexpected(wanted: string): Error {
    const describe = this.#options.describe ?? describeReply
    const last = this.received.slice(-20).map(describe).join(' ') || 'nothing'
    const rest = this.#cutter.restBytes === 0 ? '' : ` and ${this.#cutter.restBytes} bytes`
    const text = `wanted ${wanted}; stream ${this.#end}; received: ${last}${rest}`
    return new Error(text, { cause: this.#fault })
  }

  #listen(socket: net.Socket): void {
    const onData = (chunk: Buffer) => {
      this.#cutter.push(chunk)
      this.#wake()
    }
    const onEnd = () => this.finish('fin')
    const onClose = () => this.finish('closed')
    const onError = (error: Error) => this.finish('reset', error)
    socket.setNoDelay(true)
    socket.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onError)
    this.#unlisten = () => {
      socket.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onError)
    }
  }

  #cutAll(): void {
    while (this.#end !== 'reset' && this.#cut(true));
  }

  /** Cuts one message off; a header that cannot be one ends the stream and is told as the cause. */
  #cut(hasLetter: boolean): boolean {
    try {
      const message = this.#cutter.next(hasLetter)
      if (message === null) return false
      this.#received.push(message)
      return true
    } catch (error) {
      this.#fault = error as Error
      this.#end = 'closed'
      this.#socket.destroy()
      return false
    }
  }
}

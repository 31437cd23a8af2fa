// Reads a socket on demand while a server is being opened: nothing is read that nobody asked for,
// so a server that talks without end fills the kernel's buffer and not our memory.
import type { Socket } from 'node:net'

/** The server closed its end before it had said what was waited for. */
export class SocketEndedError extends Error {
  override readonly name = 'SocketEndedError'
}

export class SocketReader {
  readonly #socket: Socket
  readonly #signal: AbortSignal
  #error: Error | null = null
  #isOver = false
  #wake: (() => void) | null = null

  /** The socket is destroyed, and reading rejects with its reason, when the signal aborts. */
  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket
    this.#signal = signal
    socket.on('readable', this.#onChange).on('end', this.#onOver).on('close', this.#onOver)
    socket.on('error', this.#onError)
    signal.addEventListener('abort', this.#onAbort)
    if (signal.aborted) this.#onAbort()
  }

  /** What has arrived, at least one byte. Rejects with the socket's error or SocketEndedError. */
  async chunk(): Promise<Buffer> {
    for (;;) {
      this.#signal.throwIfAborted()
      const bytes = this.#socket.read() as Buffer | null
      if (bytes !== null) return bytes
      if (this.#error !== null) throw this.#error
      if (this.#isOver || this.#socket.destroyed) {
        throw new SocketEndedError('the server closed the connection')
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Lets go of the socket, which stays paused; bytes that arrived since are still in it. */
  release(): void {
    const socket = this.#socket
    socket.off('readable', this.#onChange).off('end', this.#onOver).off('close', this.#onOver)
    socket.off('error', this.#onError)
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onChange = (): void => {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }

  readonly #onOver = (): void => {
    this.#isOver = true
    this.#onChange()
  }

  readonly #onError = (error: Error): void => {
    this.#error = error
    this.#onChange()
  }

  readonly #onAbort = (): void => {
    this.#socket.destroy()
    this.#onChange()
  }
}

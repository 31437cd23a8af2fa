// The client's side of an authentication exchange: password messages in, requests out. Implements
// what auth needs and no more; the login deadline closes the socket, which ends every wait here.
import type { Socket } from 'node:net'
import { PoolerError } from '../../shared/errors.ts'
import { noBytes } from '../../shared/no-bytes.ts'
import { MessageReader } from '../../shared/protocol/message-reader.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import type { AuthDialog } from '../auth/auth-dialog.ts'
import { passwordMessageBytesMax } from '../config/limits.ts'
import { readChunk } from './socket-reading.ts'

/** The client went away; there is nobody to answer and nothing to count. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

export class LoginDialog implements AuthDialog {
  readonly #socket: Socket
  readonly #reader = new MessageReader({ bodyBytesMax: passwordMessageBytesMax })
  #unsent: Buffer = noBytes

  /** `rest` came behind the startup packet. */
  constructor(socket: Socket, rest: Buffer) {
    this.#socket = socket
    if (rest.length > 0) this.#reader.push(Buffer.from(rest))
  }

  send(message: Buffer, isLast = false): void {
    if (isLast) this.#unsent = message
    else this.#socket.write(message)
  }

  /** The last message, which is the caller's to send in front of its own; empty: there is none. */
  takeUnsent(): Buffer {
    const unsent = this.#unsent
    this.#unsent = noBytes
    return unsent
  }

  async receive(bodyBytesMax: number): Promise<Buffer> {
    for (;;) {
      // By its first byte alone: what is no password may name a length that never comes.
      const type = this.#reader.nextType
      if (type !== null && type !== frontend.password) throw unexpected(type)
      const message = this.#reader.next()
      if (message !== null) {
        if (message.body.length > bodyBytesMax) {
          throw new PoolerError('EMESSAGETOOLARGE', {
            values: { what: 'password', bytes: message.body.length, limit: bodyBytesMax },
          })
        }
        return message.body
      }
      const chunk = await readChunk(this.#socket)
      if (chunk === null) throw new ClientGone('in authentication')
      this.#reader.push(chunk)
    }
  }

  /** What the client sent behind its last password message. */
  takeRest(): Buffer {
    return this.#reader.takeRest()
  }
}

function unexpected(type: number): PoolerError {
  const reason = `message 0x${type.toString(16)} in place of a password`
  return new PoolerError('EPROTOCOL', { values: { reason } })
}

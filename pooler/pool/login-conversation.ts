// The messages of one login, taken one at a time. Reports and notices, which may come at any moment,
// are dealt with here; an ErrorResponse ends the login.
import type { Socket } from 'node:net'
import { PoolerError } from '../../shared/errors.ts'
import { PostgresError } from '../../shared/protocol/error-response.ts'
import { MessageReader, type WholeMessage } from '../../shared/protocol/message-reader.ts'
import { backend } from '../../shared/protocol/message-types.ts'
import { reportBytesMax, reportedSettingsMax } from '../config/limits.ts'
import { readParameter } from './login-messages.ts'
import {
  brokenProtocol,
  type OpenTarget,
  saidByPostgres,
  unreachable,
} from './server-open-error.ts'
import { SocketReader } from './socket-reader.ts'

/** The longest message of a login is an ErrorResponse with its context; libpq stops at 30,000. */
const bodyBytesMax = 64 * 1024
/** Postgres reports about fifteen parameters; extensions add a few and may send notices. */
const messagesMax = 500
/** All of them together. */
const loginBytesMax = 256 * 1024

export class LoginConversation {
  readonly parameters = new Map<string, string>()
  readonly #socket: Socket
  readonly #target: OpenTarget
  readonly #reader: SocketReader
  readonly #messages = new MessageReader({ bodyBytesMax })
  #count = 0
  #bytes = 0
  #reportedBytes = 0

  constructor(socket: Socket, target: OpenTarget, signal: AbortSignal) {
    this.#socket = socket
    this.#target = target
    this.#reader = new SocketReader(socket, signal)
  }

  send(message: Buffer): void {
    this.#socket.write(message)
  }

  /** The next message that is neither report nor notice. */
  async next(): Promise<WholeMessage> {
    for (;;) {
      const message = this.#cut()
      if (message === null) {
        this.#messages.push(await this.#reader.chunk())
        continue
      }
      this.#count++
      this.#bytes += message.body.length
      if (this.#count > messagesMax || this.#bytes > loginBytesMax)
        throw this.broken('a login of endless messages')
      if (message.type === backend.errorResponse) {
        throw saidByPostgres(this.#target, new PostgresError(message.body))
      }
      if (message.type === backend.parameterStatus) this.#record(message.body)
      else if (message.type !== backend.noticeResponse) return message
    }
  }

  broken(what: string): Error {
    return brokenProtocol(this.#target, what)
  }

  /** Lets go of the socket; gives what was read beyond the last message. */
  release(): Buffer {
    this.#reader.release()
    return this.#messages.takeRest()
  }

  #record(body: Buffer): void {
    const parameter = readParameter(body)
    if (parameter === null) throw this.broken('malformed ParameterStatus')
    this.#reportedBytes += body.length
    this.parameters.set(...parameter)
    const isTooMany = this.parameters.size > reportedSettingsMax
    if (isTooMany || this.#reportedBytes > reportBytesMax) {
      throw this.broken('endless reports')
    }
  }

  #cut(): WholeMessage | null {
    try {
      return this.#messages.next()
    } catch (error) {
      if (!(error instanceof PoolerError)) throw error
      // Text of protocol 2 behind the E: the postmaster could not even fork.
      if (this.#count === 0 && this.#messages.nextType === backend.errorResponse) {
        throw unreachable('transient', this.#target, 'the server could not start a session', error)
      }
      throw this.broken(error.message)
    }
  }
}

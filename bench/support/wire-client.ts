// A client of a few hundred bytes, for scenarios with thousands of them: logs in by SCRAM, plain or
// over TLS, or with a token, asks simple queries. Keys are derived once for each salt, so that the load of logins is
// the server's and not ours.
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ScramClient } from '../../shared/crypto/scram-client.ts'
import { deriveScramKeys, type ScramKeys } from '../../shared/crypto/scram-keys.ts'
import { parseErrorFields } from '../../shared/protocol/error-response.ts'
import {
  passwordMessage,
  query,
  saslInitialResponse,
  saslResponse,
  sslRequest,
  startupMessage,
  terminate,
} from '../../shared/protocol/frontend-messages.ts'
import { MessageReader } from '../../shared/protocol/message-reader.ts'
import { backend } from '../../shared/protocol/message-types.ts'
import { Secret } from '../../shared/secret.ts'
import type { Address } from './address.ts'

const bodyBytesMax = 1024 * 1024
const authentication = { ok: 0, cleartext: 3, sasl: 10, saslContinue: 11, saslFinal: 12 }
const keysBySalt = new Map<string, Promise<ScramKeys>>()
/** Some poolers make a salt for each login. */
const saltsMax = 1000

/** Filled in when the server has told its salt, between the client's two messages. */
class LateKeys implements ScramKeys {
  keys: ScramKeys | null = null

  get clientKey(): Secret<Buffer> {
    return (this.keys as ScramKeys).clientKey
  }

  get serverKey(): Secret<Buffer> {
    return (this.keys as ScramKeys).serverKey
  }
}

export class WireClient {
  readonly #socket: Socket
  readonly #reader = new MessageReader({ bodyBytesMax })
  #wake: () => void = () => {}
  #isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(Buffer.from(chunk))
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake()
    })
  }

  static async open(address: Address, isTls: boolean): Promise<WireClient> {
    const client = new WireClient(await connected(address, isTls))
    try {
      await client.#logIn(address)
      return client
    } catch (error) {
      client.#socket.destroy()
      throw error
    }
  }

  /** Fulfilled with ReadyForQuery. */
  async query(sql: string): Promise<void> {
    this.#socket.write(query(sql))
    await this.#untilReady()
  }

  /** The socket to somebody else, who asks from here on. */
  release(): Socket {
    this.#socket.pause()
    this.#socket.removeAllListeners('data')
    this.#socket.removeAllListeners('close')
    return this.#socket
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    const closed = new Promise((resolve) => this.#socket.once('close', resolve))
    this.#socket.end(terminate())
    await closed
  }

  async #logIn({ user, database, password, options }: Address): Promise<void> {
    this.#socket.write(
      startupMessage(
        new Map([
          ['user', user],
          ['database', database],
          ...(options === undefined ? [] : ([['options', options]] as const)),
        ]),
      ),
    )
    const late = new LateKeys()
    const scram = new ScramClient({ secret: late, channelBinding: { kind: 'none' } })
    for (;;) {
      const { type, body } = await this.#next()
      if (type !== backend.authentication) throw new Error(`message ${type} in place of a login`)
      switch (body.readInt32BE(0)) {
        case authentication.ok:
          return await this.#untilReady()
        case authentication.cleartext:
          this.#socket.write(passwordMessage(password))
          break
        case authentication.sasl:
          this.#socket.write(saslInitialResponse(scram.mechanism, scram.first()))
          break
        case authentication.saslContinue:
          late.keys = await keysFor(password, body.toString('latin1', 4))
          this.#socket.write(saslResponse(await scram.answer(body.subarray(4))))
          break
        case authentication.saslFinal:
          scram.verify(body.subarray(4))
          break
        default:
          throw new Error('a way to log in that is not SCRAM')
      }
    }
  }

  async #untilReady(): Promise<void> {
    let fault: Error | null = null
    for (;;) {
      const { type, body } = await this.#next(true)
      if (type === backend.errorResponse) fault = new Error(parseErrorFields(body).message)
      if (type === backend.readyForQuery) break
    }
    if (fault !== null) throw fault
  }

  async #next(isErrorWanted = false): Promise<{ type: number; body: Buffer }> {
    for (;;) {
      const message = this.#reader.next()
      if (message !== null) {
        if (message.type !== backend.errorResponse || isErrorWanted) return message
        throw new Error(parseErrorFields(message.body).message)
      }
      if (this.#isClosed) throw new Error('the connection was closed')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

function keysFor(password: string, serverFirst: string): Promise<ScramKeys> {
  const [, salt = '', iterations = ''] = /,s=([^,]*),i=(\d+)/.exec(serverFirst) ?? []
  const id = `${password} ${salt} ${iterations}`
  const known = keysBySalt.get(id)
  if (known !== undefined) return known
  if (keysBySalt.size >= saltsMax) keysBySalt.clear()
  const saltBytes = Buffer.from(salt, 'base64')
  const keys = deriveScramKeys(new Secret(password), saltBytes, Number(iterations))
  keysBySalt.set(id, keys)
  return keys
}

async function connected({ host, port }: Address, isTls: boolean): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true })
  await settled(socket, 'connect')
  if (!isTls) return socket
  socket.write(sslRequest())
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
  if (answer.toString() !== 'S') throw new Error('no TLS is offered')
  const secured = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['postgresql'] })
  await settled(secured, 'secureConnect')
  return secured
}

function settled(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once(event, () => {
      socket.off('error', reject)
      resolve()
    })
  })
}

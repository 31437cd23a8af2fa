// Logs a raw client in the way a driver does: startup packet, whatever authentication the server
// asks for, up to the first ReadyForQuery. A refusal is thrown with the server's fields.

import { createHash } from 'node:crypto'
import type { RawClient } from './raw-client.ts'
import * as raw from './raw-messages.ts'
import { cstringsOf, errorFields } from './raw-replies.ts'
import { endPointHash, RawScramClient } from './raw-scram.ts'

export interface LoginOptions {
  readonly user: string
  readonly password?: string
  /** null: none is sent. */
  readonly database?: string | null
  readonly settings?: Readonly<Record<string, string>>
  /** Minor version of protocol 3. */
  readonly minor?: number
  /** `never`: plain SCRAM although PLUS is offered. */
  readonly channelBinding?: 'prefer' | 'never'
}

export interface LoginResult {
  /** All that came from the first byte to ReadyForQuery. */
  readonly messages: raw.RawMessage[]
  readonly parameters: Map<string, string>
  /** 0 and no bytes when the server sent no BackendKeyData. */
  readonly processId: number
  readonly secret: Buffer
  readonly negotiated: { readonly minor: number; readonly options: string[] } | null
  /** What the server asked for last: `none`, `cleartext`, `md5` or the SASL mechanism. */
  readonly method: string
}

export class LoginRefused extends Error {
  override readonly name = 'LoginRefused'
  readonly fields: Record<string, string>
  readonly messages: raw.RawMessage[]

  constructor(fields: Record<string, string>, messages: raw.RawMessage[]) {
    super(`${fields.S} ${fields.C}: ${fields.M}`)
    this.fields = fields
    this.messages = messages
  }

  get sqlState(): string {
    return this.fields.C ?? ''
  }
}

export async function login(client: RawClient, options: LoginOptions): Promise<LoginResult> {
  const pairs: [string, string][] = [['user', options.user]]
  const database = options.database === undefined ? options.user : options.database
  if (database !== null) pairs.push(['database', database])
  pairs.push(...Object.entries(options.settings ?? {}))
  await client.send(raw.startupMessage(pairs, { major: 3, minor: options.minor ?? 0 }))

  const messages: raw.RawMessage[] = []
  const exchange = new SecretExchange(client, options)
  for (;;) {
    const next = await client.next()
    messages.push(next)
    if (next.type === 'E') throw new LoginRefused(errorFields(next.body), messages)
    if (next.type === 'R') await exchange.answer(next.body)
    if (next.type === 'Z') return resultOf(messages, exchange.method)
  }
}

class SecretExchange {
  method = 'none'
  readonly #client: RawClient
  readonly #options: LoginOptions
  #scram: RawScramClient | null = null

  constructor(client: RawClient, options: LoginOptions) {
    this.#client = client
    this.#options = options
  }

  /** `body` is that of an Authentication message (manual, "Message Formats"). */
  async answer(body: Buffer): Promise<void> {
    const { user, password = '' } = this.#options
    const data = body.subarray(4)
    switch (body.readInt32BE(0)) {
      case 0:
        return
      case 3:
        this.method = 'cleartext'
        return this.#client.send(raw.passwordMessage(password))
      case 5:
        this.method = 'md5'
        return this.#client.send(raw.passwordMessage(md5Answer(user, password, data)))
      case 10:
        return this.#startScram(cstringsOf(data))
      case 11:
        if (this.#scram === null) throw new Error('SASLContinue before SASL')
        return this.#client.send(raw.saslResponse(this.#scram.final(data.toString())))
      case 12:
        if (this.#scram === null) throw new Error('SASLFinal before SASL')
        return this.#scram.verify(data.toString())
      default:
        throw new Error(`authentication method ${body.readInt32BE(0)} is not known here`)
    }
  }

  #startScram(mechanisms: string[]): Promise<void> {
    const { password = '', channelBinding = 'prefer' } = this.#options
    const certificate = this.#client.serverCertificate
    const isPlus =
      channelBinding === 'prefer' && certificate !== null && mechanisms.includes(plusMechanism)
    this.method = isPlus ? plusMechanism : 'SCRAM-SHA-256'
    this.#scram = new RawScramClient({
      password,
      channelBinding: isPlus ? endPointHash(certificate) : null,
      bindingFlag: isPlus ? 'p=tls-server-end-point' : 'n',
    })
    return this.#client.send(raw.saslInitialResponse(this.method, this.#scram.first))
  }
}

const plusMechanism = 'SCRAM-SHA-256-PLUS'

function md5Answer(user: string, password: string, salt: Buffer): string {
  const inner = createHash('md5').update(password).update(user).digest('hex')
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`
}

function resultOf(messages: raw.RawMessage[], method: string): LoginResult {
  const parameters = new Map<string, string>()
  let processId = 0
  let secret = Buffer.alloc(0)
  let negotiated: LoginResult['negotiated'] = null
  for (const { type, body } of messages) {
    if (type === 'S') {
      const [name = '', value = ''] = cstringsOf(body)
      parameters.set(name, value)
    } else if (type === 'K') {
      processId = body.readInt32BE(0)
      secret = Buffer.from(body.subarray(4))
    } else if (type === 'v') {
      negotiated = { minor: body.readInt32BE(0) & 0xffff, options: cstringsOf(body.subarray(8)) }
    }
  }
  return { messages, parameters, processId, secret, negotiated, method }
}

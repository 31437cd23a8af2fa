// Reads the names in a client's Parse, Bind, Describe and Close, and no more of them, and says what
// becomes of each message. What a name stands for is prepared-statements.ts. A message that is
// malformed goes on as it is: the server says so in its own words.
import { randomBytes } from 'node:crypto'
import { frontend, headerBytes } from '../../shared/protocol/message-types.ts'
import { keptTextBytesMax, statementNameBytesMax, unnamedTextBytesMax } from '../config/limits.ts'
import type { ClientPump } from './client-pump.ts'
import type { PreparedStatements } from './prepared-statements.ts'
import type { ServerLink } from './server-link.ts'
import { closerBytes, closesStatements } from './statement-frames.ts'
import type { StatementTexts } from './statement-texts.ts'
import { verdictOfBytes } from './text-verdict.ts'
import { collect, drop, forward, hold, type Verdict } from './verdicts.ts'

const ofStatement = 0x53 // S, in Describe and Close

/** In place of an offset: no NUL ends the name, or it has not come yet. */
const malformed = -1
const awaited = -2

export class StatementMessages {
  readonly #pump: ClientPump
  readonly #statements: PreparedStatements
  readonly #texts: StatementTexts
  /** Called when the client has to keep its server from here on. */
  readonly #onPinned: (reason: 'large statement') => void

  constructor(
    pump: ClientPump,
    statements: PreparedStatements,
    texts: StatementTexts,
    onPinned: (reason: 'large statement') => void,
  ) {
    this.#pump = pump
    this.#statements = statements
    this.#texts = texts
    this.#onPinned = onPinned
  }

  /** The verdict, with the tracker told of it; null: a message that is about no statement. */
  handle(message: ClientPump, link: ServerLink, environment: string): Verdict | null {
    switch (message.type) {
      case frontend.parse:
        return this.#onParse(message, link, environment)
      case frontend.bind:
        return this.#onBind(message, link)
      case frontend.describe:
        return this.#onDescribe(message, link)
      case frontend.close:
        return this.#onClose(message)
      case frontend.query:
        return this.#onQuery(message)
      default:
        return null
    }
  }

  #onQuery({ bodyBytes, chunk, at }: ClientPump): Verdict {
    if (this.#statements.readsErrors && mayClose(chunk, at)) {
      const bytes = Math.min(bodyBytes, closerBytes)
      if (chunk.length - at < bytes) return this.#pump.wait(headerBytes + bytes)
      if (closesStatements(chunk, at)) this.#statements.noteCloser()
    }
    this.#statements.onQuery()
    return forward
  }

  #onParse(message: ClientPump, link: ServerLink, environment: string): Verdict | null {
    const { bodyBytes, chunk, at } = message
    if (bodyBytes === 0) return null
    if (at === chunk.length) return this.#pump.wait(headerBytes + 1)
    const end = at + bodyBytes
    const isWhole = end <= chunk.length
    if (chunk[at] === 0) {
      const isKept = bodyBytes <= unnamedTextBytesMax
      if (isKept && !isWhole) return this.#pump.wait(headerBytes + bodyBytes)
      this.#texts.set('', verdictOfBytes(chunk, at + 1, isKept ? chunk.indexOf(0, at + 1) : -1))
      this.#statements.onUnnamedParse(isKept ? chunk.subarray(at, end) : null)
      return forward
    }
    if (bodyBytes > keptTextBytesMax) {
      const verdict = this.#onLargeParse(message)
      // Under a name that was not read it may be there for the next client.
      if (verdict === null) link.dirtyBy ??= 'Parse'
      return verdict
    }
    if (!isWhole) return this.#pump.wait(headerBytes + bodyBytes)
    const nameEnd = chunk.indexOf(0, at)
    if (nameEnd === -1 || nameEnd >= end) return null
    const name = chunk.toString('latin1', at, nameEnd)
    if (this.#statements.isUncertain(name)) return hold
    if (!this.#statements.onParse(name, chunk.subarray(nameEnd + 1, end), environment)) return hold
    this.#texts.set(name, verdictOfBytes(chunk, nameEnd + 1, chunk.indexOf(0, nameEnd + 1)))
    link.transport.hold()
    return drop
  }

  /** Too long to be kept: it streams to this server, which the client then keeps. */
  #onLargeParse(message: ClientPump): Verdict | null {
    const { bodyBytes, chunk, at } = message
    const nameEnd = this.#nameEnd(message, at)
    if (nameEnd < 0) return unread(nameEnd)
    const name = chunk.toString('latin1', at, nameEnd)
    if (this.#statements.isUncertain(name)) return hold
    const substitute = this.#statements.onLargeParse(
      name,
      bodyBytes,
      `lk_${randomBytes(20).toString('hex')}`,
    )
    if (substitute === null) return drop
    this.#onPinned('large statement')
    return this.#pump.substitute(substitute.head, substitute.bodyBytes)
  }

  #onBind(message: ClientPump, link: ServerLink): Verdict | null {
    const { at } = message
    const portalEnd = this.#nameEnd(message, at)
    if (portalEnd < 0) return unread(portalEnd)
    const nameEnd = this.#nameEnd(message, portalEnd + 1)
    if (nameEnd < 0) return unread(nameEnd)
    return this.#use(message, link, portalEnd + 1 - at, nameEnd)
  }

  #onDescribe(message: ClientPump, link: ServerLink): Verdict | null {
    const { chunk, at, bodyBytes } = message
    if (at === chunk.length && bodyBytes > 0) return this.#pump.wait(headerBytes + 1)
    if (bodyBytes === 0 || chunk[at] !== ofStatement) return null
    const nameEnd = this.#nameEnd(message, at + 1)
    if (nameEnd < 0) return unread(nameEnd)
    return this.#use(message, link, 1, nameEnd)
  }

  #onClose(message: ClientPump): Verdict | null {
    const { chunk, at, bodyBytes } = message
    if (at === chunk.length && bodyBytes > 0) return this.#pump.wait(headerBytes + 1)
    if (bodyBytes === 0 || chunk[at] !== ofStatement) return null
    const nameEnd = this.#nameEnd(message, at + 1)
    if (nameEnd < 0) return unread(nameEnd)
    const name = chunk.toString('latin1', at + 1, nameEnd)
    if (name !== '' && this.#statements.isUncertain(name)) return hold
    return this.#statements.onClose(name) ? forward : drop
  }

  #use(
    { type, bodyBytes, chunk, at }: ClientPump,
    link: ServerLink,
    beforeBytes: number,
    nameEnd: number,
  ): Verdict {
    const nameAt = at + beforeBytes
    const name = chunk.toString('latin1', nameAt, nameEnd)
    if (this.#statements.isUncertain(name)) return hold
    this.#texts.use(name)
    if (name === '') {
      this.#statements.onUnnamedUse()
      link.tracker.sent(type)
      return forward
    }
    const substitute = this.#statements.onUse({
      type,
      name,
      beforeName: chunk.subarray(at, nameAt),
      bodyBytes,
    })
    link.tracker.sent(type)
    if (substitute === null) return forward
    link.transport.hold()
    return this.#pump.substitute(substitute.head, substitute.bodyBytes)
  }

  /** Where the NUL of the name that begins at `from` is; malformed or awaited where there is none. */
  #nameEnd({ bodyBytes, chunk, at }: ClientPump, from: number): number {
    const end = Math.min(at + bodyBytes, chunk.length)
    for (let index = from; index < end; index++) if (chunk[index] === 0) return index
    const seen = chunk.length - at
    if (seen >= bodyBytes || seen > statementNameBytesMax) return malformed
    this.#pump.wait(headerBytes + seen + 1)
    return awaited
  }
}

/** The text begins with a D, or has not come yet. */
const mayClose = (chunk: Buffer, at: number): boolean =>
  at === chunk.length || ((chunk[at] as number) | 0x20) === 0x64

const unread = (end: number): Verdict | null => (end === awaited ? collect : null)

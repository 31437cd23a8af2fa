// Reads the names in a client's Parse, Bind, Describe and Close, and no more of them, and says what
// becomes of each message. What a name stands for is prepared-statements.ts. A message that is
// malformed goes on as it is: the server says so in its own words.
import { randomBytes } from 'node:crypto'
import { frontend, headerBytes } from '../../shared/protocol/message-types.ts'
import { MessageWriter } from '../../shared/protocol/message-writer.ts'
import { keptTextBytesMax, statementNameBytesMax, unnamedTextBytesMax } from '../config/limits.ts'
import type { ClientPump } from './client-pump.ts'
import { dropsStatements, type NamingText, namingTextOf } from './naming-text.ts'
import type { PreparedStatements } from './prepared-statements.ts'
import type { ServerLink } from './server-link.ts'
import { referencesIn } from './statement-references.ts'
import type { StatementTexts } from './statement-texts.ts'
import {
  environmentOf,
  type SettingsInForce,
  type TextEnvironment,
  type TextSettings,
  unshared,
} from './text-environment.ts'
import {
  lookedAtBytesMax,
  type TextVerdict,
  verdictOfBytes,
  verdictOfFunction,
} from './text-verdict.ts'
import { collect, drop, forward, hold, type Verdict } from './verdicts.ts'

/** A FunctionCall's number of its function. */
const functionBytes = 4
const ofStatement = 0x53 // S, in Describe and Close

/** In place of an offset: no NUL ends the name, it has not come yet, or the name is over the limit. */
const malformed = -1
const awaited = -2
const tooLong = -3

export class StatementMessages {
  readonly #pump: ClientPump
  readonly #statements: PreparedStatements
  readonly #texts: StatementTexts
  /** Used last. Most clients use the same one again, and it is compared faster than it is made. */
  #lastName = ''
  readonly #inForce: SettingsInForce

  constructor(
    pump: ClientPump,
    statements: PreparedStatements,
    texts: StatementTexts,
    inForce: SettingsInForce,
  ) {
    this.#inForce = inForce
    this.#pump = pump
    this.#statements = statements
    this.#texts = texts
  }

  /** The verdict, with the tracker told of it; null: a message that is about no statement. */
  handle(message: ClientPump, link: ServerLink, settings: TextSettings): Verdict | null {
    switch (message.type) {
      case frontend.parse:
        return this.#onParse(message, link, settings)
      case frontend.bind:
        return this.#onBind(message, link)
      case frontend.describe:
        return this.#onDescribe(message, link)
      case frontend.close:
        return this.#onClose(message, link)
      case frontend.query:
        return this.#onQuery(message, link, settings)
      case frontend.sync:
      case frontend.flush:
        return this.#onEnd(message, link)
      case frontend.execute:
        return this.#onExecute(message, link)
      case frontend.functionCall:
        return this.#onFunctionCall(message)
      default:
        return null
    }
  }

  #onFunctionCall({ chunk, at, bodyBytes }: ClientPump): Verdict | null {
    const seen = Math.min(bodyBytes, functionBytes)
    if (chunk.length < at + seen) return this.#pump.wait(headerBytes + seen)
    this.#texts.run(verdictOfFunction(seen < functionBytes ? 0 : chunk.readUInt32BE(at)))
    return null
  }

  #onQuery(message: ClientPump, link: ServerLink, settings: TextSettings): Verdict {
    const { bodyBytes, chunk, at } = message
    const hasNames = !this.#statements.isEmpty
    const end = at + bodyBytes
    const isWhole = end <= chunk.length
    // What is not looked at may set anything, and nobody can list an application's own settings.
    if (!isWhole && bodyBytes <= (hasNames ? keptTextBytesMax : lookedAtBytesMax)) {
      return this.#pump.wait(headerBytes + bodyBytes)
    }
    const verdict = verdictOfBytes(chunk, at, end - 1)
    if (verdict.mayNameStatements) {
      // Without its end it is none, and the server says so.
      const isEnded = isWhole && chunk[end - 1] === 0
      if (hasNames && isEnded) return this.#onNamingQuery(message, link, settings, verdict)
      // It may drop any name, or what the server has for names that come behind it.
      this.#statements.noteCloser()
    }
    this.#texts.run(verdict)
    const isLooked = isWhole && this.#statements.hasUnnamed
    this.#statements.onQuery(null, isLooked ? chunk.subarray(at, end) : null)
    return forward
  }

  /** A Query that may name statements of the client's. */
  #onNamingQuery(
    { bodyBytes, chunk, at }: ClientPump,
    link: ServerLink,
    settings: TextSettings,
    verdict: TextVerdict,
  ): Verdict {
    const text = chunk.toString('latin1', at, at + bodyBytes - 1)
    // A NUL in it is a fault, which the server finds.
    const references = text.includes('\0') ? [] : referencesIn(text, settings)
    if (this.#statements.isAnyUncertain(references)) return hold
    const translation = this.#statements.inSql.translate(text, references)
    if (dropsStatements(references)) this.#statements.noteCloser()
    if (translation === null) {
      this.#texts.run(verdict)
      this.#statements.onQuery(null, chunk.subarray(at, at + bodyBytes))
      return forward
    }
    this.#texts.runInSql(translation)
    this.#statements.onQuery(translation, null)
    link.transport.hold()
    const sent = new MessageWriter().begin(frontend.query)
    const head = sent.bytes(Buffer.from(translation.text, 'latin1')).byte(0).end().take()
    return this.#pump.substitute(head, bodyBytes)
  }

  /** Sync or Flush: whether a batch is to be run again is decided behind it. */
  #onEnd({ type }: ClientPump, link: ServerLink): Verdict | null {
    const { repair } = this.#statements
    if (type === frontend.flush) repair.onFlush()
    if (!repair.isWaiting) return null
    // The error may have to be written, and not into the middle of a notice.
    if (!link.isAtBoundary) return hold
    link.tracker.sent(type)
    repair.decide(link)
    return forward
  }

  #onExecute(message: ClientPump, link: ServerLink): Verdict | null {
    const { shapes, inSql } = this.#statements
    if (!shapes.isAnyBound && !inSql.hasPortals) return null
    const portalEnd = this.#nameEnd(message, message.at)
    if (portalEnd < 0) return this.#unread(portalEnd, link)
    const portal = nameOf(message.chunk, message.at, portalEnd)
    const verdict = shapes.verdictOf(portal, link)
    if (verdict !== 'run') return this.#notRun(verdict, link)
    if (!inSql.hasPortals) return null
    return this.#statements.inSql.onExecute(portal, link) ? forward : null
  }

  #onParse(message: ClientPump, link: ServerLink, settings: TextSettings): Verdict | null {
    const { bodyBytes, chunk, at } = message
    if (bodyBytes === 0) return null
    if (at === chunk.length) return this.#pump.wait(headerBytes + 1)
    const end = at + bodyBytes
    const isWhole = end <= chunk.length
    if (chunk[at] === 0) {
      const isKept = bodyBytes <= unnamedTextBytesMax
      if (isKept && !isWhole) return this.#pump.wait(headerBytes + bodyBytes)
      return this.#onUnnamedParse(message, link, settings, isKept)
    }
    if (bodyBytes > keptTextBytesMax) {
      return this.#onLargeParse(message, link)
    }
    if (!isWhole) return this.#pump.wait(headerBytes + bodyBytes)
    const nameEnd = chunk.indexOf(0, at)
    if (nameEnd === -1 || nameEnd >= end) return null
    const name = chunk.toString('latin1', at, nameEnd)
    if (this.#statements.isUncertain(name)) return hold
    const content = chunk.subarray(nameEnd + 1, end)
    const textEnd = chunk.indexOf(0, nameEnd + 1)
    const environment = this.#environmentOf(chunk, nameEnd + 1, textEnd, settings)
    if (this.#isUnsettled(environment, link)) return hold
    const verdict = verdictOfBytes(chunk, nameEnd + 1, textEnd)
    const naming = namingOf(content, environment, settings, verdict)
    if (naming !== null && this.#statements.isAnyUncertain(naming.references)) return hold
    this.#texts.prepare(verdict)
    if (!this.#statements.onParse(name, content, environment, naming)) return hold
    link.transport.hold()
    return drop
  }

  #environmentOf(
    chunk: Buffer,
    from: number,
    end: number,
    settings: TextSettings,
  ): TextEnvironment {
    const text = chunk.toString('latin1', from, Math.max(end, from))
    const environment = environmentOf(text, settings)
    const isReadByOthers = environment.read.length > 0 && this.#inForce.mayBeOthers
    const isAlone = isReadByOthers || this.#inForce.hasTemporary
    return isAlone ? unshared(environment) : environment
  }

  /** By which settings such a text will be read is not known before earlier messages are answered. */
  #isUnsettled({ read }: TextEnvironment, { tracker }: ServerLink): boolean {
    return read.length > 0 && this.#inForce.mayBeOthers && tracker.isAheadOfReplies
  }

  #onUnnamedParse(
    message: ClientPump,
    link: ServerLink,
    settings: TextSettings,
    isKept: boolean,
  ): Verdict {
    const { bodyBytes, chunk, at } = message
    if (isKept && this.#inForce.mayBeOthers) {
      const environment = this.#environmentOf(chunk, at + 1, chunk.indexOf(0, at + 1), settings)
      if (this.#isUnsettled(environment, link)) return hold
    }
    const { unnamed, inSql } = this.#statements
    const known = isKept ? unnamed.repeat(link, message, settings) : null
    if (known !== null) {
      this.#texts.prepare(known)
      return forward
    }
    const verdict = verdictOfBytes(chunk, at + 1, isKept ? chunk.indexOf(0, at + 1) : -1)
    const body = chunk.subarray(at, at + bodyBytes)
    const naming = isKept
      ? namingOf(body.subarray(1), settings.environment, settings, verdict)
      : null
    if (naming !== null && this.#statements.isAnyUncertain(naming.references)) return hold
    this.#texts.prepare(verdict)
    if (naming === null) {
      unnamed.onParse(link, isKept ? body : null, null, settings, verdict)
      return forward
    }
    inSql.onParse(naming)
    const sent = inSql.parseOf(naming)
    unnamed.onParse(link, sent.subarray(headerBytes), naming, settings, verdict)
    link.transport.hold()
    return this.#pump.substitute(sent, bodyBytes)
  }

  /** Too long to be kept: it streams to this server, which the client then keeps. */
  #onLargeParse(message: ClientPump, link: ServerLink): Verdict | null {
    const { bodyBytes, chunk, at } = message
    const nameEnd = this.#nameEnd(message, at)
    if (nameEnd < 0) return this.#unread(nameEnd, link)
    const name = chunk.toString('latin1', at, nameEnd)
    if (this.#statements.isUncertain(name)) return hold
    const substitute = this.#statements.large.onParse(
      name,
      bodyBytes,
      `lk_${randomBytes(20).toString('hex')}`,
    )
    if (substitute === null) return drop
    return this.#pump.substitute(substitute.head, substitute.bodyBytes)
  }

  #onBind(message: ClientPump, link: ServerLink): Verdict | null {
    const { at } = message
    const portalEnd = this.#nameEnd(message, at)
    if (portalEnd < 0) return this.#unread(portalEnd, link)
    const nameEnd = this.#nameEnd(message, portalEnd + 1)
    if (nameEnd < 0) return this.#unread(nameEnd, link)
    return this.#use(message, link, portalEnd + 1 - at, nameEnd)
  }

  #onDescribe(message: ClientPump, link: ServerLink): Verdict | null {
    const { chunk, at, bodyBytes } = message
    if (at === chunk.length && bodyBytes > 0) return this.#pump.wait(headerBytes + 1)
    if (bodyBytes === 0 || chunk[at] !== ofStatement) {
      this.#statements.repair.onDescribePortal()
      return bodyBytes > 0 ? this.#onDescribePortal(message, link) : null
    }
    const nameEnd = this.#nameEnd(message, at + 1)
    if (nameEnd < 0) return this.#unread(nameEnd, link)
    return this.#use(message, link, 1, nameEnd)
  }

  #onDescribePortal(message: ClientPump, link: ServerLink): Verdict | null {
    const { shapes, inSql } = this.#statements
    if (!shapes.isAnyBound && !inSql.hasPortals) return null
    const { chunk, at } = message
    const portalEnd = this.#nameEnd(message, at + 1)
    if (portalEnd < 0) return this.#unread(portalEnd, link)
    const portal = nameOf(chunk, at + 1, portalEnd)
    if (inSql.hasPortals) inSql.onDescribe(portal)
    return shapes.onDescribePortal(portal, link) ? forward : null
  }

  #onClose(message: ClientPump, link: ServerLink): Verdict | null {
    const { chunk, at, bodyBytes } = message
    if (at === chunk.length && bodyBytes > 0) return this.#pump.wait(headerBytes + 1)
    if (bodyBytes === 0 || chunk[at] !== ofStatement) return null
    const nameEnd = this.#nameEnd(message, at + 1)
    if (nameEnd < 0) return this.#unread(nameEnd, link)
    const name = chunk.toString('latin1', at + 1, nameEnd)
    if (nameEnd + 1 < at + bodyBytes && name !== '') return null
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
    const name = this.#nameIn(chunk, nameAt, nameEnd)
    if (this.#statements.isUncertain(name)) return hold
    if (type === frontend.bind) {
      const verdict = this.#statements.verdictOfBind(name, link)
      if (verdict !== 'run') return this.#notRun(verdict, link)
    }
    this.#texts.use(name)
    const beforeName = beforeBytes === 1 ? beforeNameOf(type) : chunk.subarray(at, nameAt)
    if (name === '') {
      this.#statements.onUnnamedUse(type, beforeName)
      link.tracker.sent(type)
      return forward
    }
    const substitute = this.#statements.onUse({ type, name, beforeName, bodyBytes })
    if (substitute === null || !this.#isLookedAt(type, name, link)) link.tracker.sent(type)
    if (substitute === null) return forward
    this.#statements.onUsed()
    link.transport.hold()
    return this.#pump.substitute(substitute.head, substitute.bodyBytes)
  }

  /** Bind or Execute of a client that was told other columns, or may have been. */
  #notRun(verdict: 'wait' | 'refuse', link: ServerLink): Verdict {
    if (verdict === 'wait') return hold
    link.transport.hold()
    this.#statements.refusals.refuseStale()
    return drop
  }

  /** A Describe whose answer tells the columns: it has been counted. */
  #isLookedAt(type: number, name: string, link: ServerLink): boolean {
    return type === frontend.describe && this.#statements.onDescribe(name, link)
  }

  #nameIn(chunk: Buffer, from: number, end: number): string {
    const last = this.#lastName
    let length = end - from === last.length ? 0 : -1
    while (length >= 0 && length < last.length) {
      if (last.charCodeAt(length) === chunk[from + length]) length++
      else length = -1
    }
    if (length === -1) this.#lastName = chunk.toString('latin1', from, end)
    return this.#lastName
  }

  /** Where the NUL of the name that begins at `from` is; below 0 where there is none. */
  #nameEnd({ bodyBytes, chunk, at }: ClientPump, from: number): number {
    const end = Math.min(at + bodyBytes, chunk.length, from + statementNameBytesMax + 1)
    for (let index = from; index < end; index++) if (chunk[index] === 0) return index
    if (end - from > statementNameBytesMax) return tooLong
    const seen = chunk.length - at
    if (seen >= bodyBytes) return malformed
    this.#pump.wait(headerBytes + seen + 1)
    return awaited
  }

  /** What follows from an offset below 0. */
  #unread(end: number, link: ServerLink): Verdict | null {
    if (end === awaited) return collect
    if (end === malformed) return null
    // As it is, it might mean what another client has left there: the unnamed statement.
    link.transport.hold()
    this.#statements.refusals.refuseName()
    return drop
  }
}

/** Mostly it has none, and a call into C++ is saved. */
const nameOf = (chunk: Buffer, from: number, end: number): string =>
  from === end ? '' : chunk.toString('latin1', from, end)

const noPortal = Buffer.of(0)
const kindOfStatement = Buffer.of(ofStatement)

/** What stands before a statement's name where that is one byte: the unnamed portal of a Bind. */
const beforeNameOf = (type: number): Buffer => (type === frontend.bind ? noPortal : kindOfStatement)

/** Null for most texts: only those are read through that have a word for it. */
const namingOf = (
  content: Buffer,
  environment: TextEnvironment,
  settings: TextSettings,
  verdict: TextVerdict,
): NamingText | null =>
  verdict.mayNameStatements ? namingTextOf(content, environment, settings) : null

// Random behaviour of one client, the same for the same seed: what it sends, in which turns, and
// what a server owes it for that, as the model session says. A turn is sent without waiting; the
// next one goes when all replies of the turn have come.

import { ModelSession, type ModelSessionOptions } from './model-session.ts'
import { sql } from './model-statements.ts'
import * as raw from './raw-messages.ts'
import { MessageCutter } from './raw-replies.ts'
import type { SeededRandom } from './seeded-random.ts'

export interface Turn {
  readonly bytes: Buffer
  /** What a server has sent when it has read all of `bytes`. */
  readonly replies: readonly raw.RawMessage[]
  /** Letters of the messages, for failure texts. */
  readonly letters: string
  /** Nothing owed, no transaction: a pooler may have given the server away after this turn. */
  readonly isAtRest: boolean
}

export interface Pipeline {
  readonly turns: readonly Turn[]
  /** True when the server ends the connection behind the last turn. */
  readonly isFatal: boolean
}

export interface PipelineOptions {
  /** In every tag: `c7` gives `c7.1`, `c7.2`, ... */
  readonly client: string
  readonly turns: number
  readonly features?: Partial<PipelineFeatures>
  readonly session?: ModelSessionOptions
  /** What SET and set_config change. */
  readonly settingNames?: readonly string[]
}

/** Weights of kinds of behaviour; 0 leaves one out. */
export interface PipelineFeatures {
  /** SET, RESET, SET LOCAL and current_setting. */
  readonly settings: number
  readonly savepoints: number
  readonly discardAll: number
  /** Named statements and portals; without them only unnamed ones. */
  readonly names: number
  /** Use of a statement that an earlier batch parsed, or nobody: 0 to 10 times in ten. */
  readonly reuse: number
  readonly copy: number
  readonly functionCalls: number
  /** Query and FunctionCall between an extended message and its Sync. */
  readonly queryInBatch: number
  /** A Sync that Postgres 18 answers by halves (ModelTransaction.startCommand): 0 or 1. */
  readonly halfEnds: number
  /** CopyData, CopyDone, CopyFail outside of a copy, Sync and Flush alone. */
  readonly strays: number
  /** What ends the connection: unknown messages, anything but copy messages in a copy. */
  readonly fatal: number
}

const allFeatures: PipelineFeatures = {
  settings: 2,
  savepoints: 2,
  discardAll: 1,
  names: 2,
  reuse: 1,
  copy: 3,
  functionCalls: 1,
  queryInBatch: 1,
  halfEnds: 1,
  strays: 2,
  fatal: 0,
}

/**
 * For a target in transaction mode. A half-ended transaction shows on the server and not with the
 * client that made it; a custom setting that was once set reads as empty on that server alone.
 */
export const transactionMode: Pick<PipelineOptions, 'features' | 'settingNames'> = {
  features: { halfEnds: 0 },
  settingNames: ['application_name'],
}

/** Messages of a turn, at most: a turn that found no end by chance is ended with a Sync. */
const turnMessagesMax = 60

export function generatePipeline(random: SeededRandom, options: PipelineOptions): Pipeline {
  const generator = new Generator(random, options)
  const turns: Turn[] = []
  while (turns.length < options.turns && !generator.isOver) turns.push(generator.turn())
  return { turns, isFatal: generator.isOver }
}

class Generator {
  readonly #random: SeededRandom
  readonly #client: string
  readonly #features: PipelineFeatures
  readonly #settingNames: readonly string[]
  readonly #session: ModelSession
  readonly #replies = new MessageCutter()
  #messages: Buffer[] = []
  #lastTag = 0
  /** An extended message went out and its Sync did not. */
  #isInBatch = false

  constructor(random: SeededRandom, options: PipelineOptions) {
    this.#random = random
    this.#client = options.client
    this.#features = { ...allFeatures, ...options.features }
    this.#settingNames = options.settingNames ?? ['application_name', 'kit.note']
    this.#session = new ModelSession(options.session)
  }

  get isOver(): boolean {
    return this.#session.want.kind === 'closed'
  }

  turn(): Turn {
    this.#messages = []
    let units = 1 + this.#random.int(4)
    while (!this.isOver && units > 0 && this.#messages.length < turnMessagesMax) {
      if (this.#isInCopy) this.#copyUnit()
      else this.#unit()
      units -= 1
    }
    // Replies behind the last flush are not owed yet, so a turn that waits for them ends with one.
    if (!this.isOver && !this.#isInCopy && this.#isInBatch) {
      // In a failed transaction a batch may fail earlier behind a pooler (refusedAlike): it is one turn.
      if (this.#session.status !== 'E' && this.#random.chance(0.3)) this.#put(raw.flush())
      else this.#putSync()
    }
    const bytes = Buffer.concat(this.#messages)
    const letters = this.#messages.map((message) => message.toString('latin1', 0, 1)).join('')
    const replies: raw.RawMessage[] = []
    this.#replies.push(this.#session.take())
    for (let next = this.#replies.next(); next !== null; next = this.#replies.next()) {
      replies.push(next)
    }
    return { bytes, letters, replies, isAtRest: this.#session.isAtRest }
  }

  get #isInCopy(): boolean {
    return this.#session.want.kind === 'copyData'
  }

  #tag(): string {
    this.#lastTag += 1
    return `${this.#client}.${this.#lastTag}`
  }

  #put(...messages: Buffer[]): void {
    for (const message of messages) {
      const type = message.toString('latin1', 0, 1)
      this.#messages.push(message)
      if (!this.isOver) this.#session.receive({ type, body: message.subarray(5) })
      while (this.#session.want.kind === 'sleep') this.#session.wake()
      if ('PBDECH'.includes(type)) this.#isInBatch = true
    }
  }

  #putSync(): void {
    if (this.#session.isHalfOpen && this.#features.halfEnds === 0) {
      // A statement more, and the Sync ends the whole.
      this.#put(raw.parse('', sql.rows(this.#tag(), 1)))
    }
    // In a copy a Sync is ignored and the batch goes on behind it.
    const isIgnored = this.#isInCopy
    this.#put(raw.sync())
    if (!isIgnored) this.#isInBatch = false
  }

  #unit(): void {
    const { functionCalls, queryInBatch, strays, fatal, copy } = this.#features
    const outsideOnly = (weight: number) => (this.#isInBatch ? weight * queryInBatch : weight * 3)
    const kind = this.#random.weighted({
      simple: outsideOnly(4),
      transaction: outsideOnly(3),
      functionCall: outsideOnly(functionCalls),
      simpleCopy: outsideOnly(copy),
      extended: 12,
      extendedCopy: copy,
      sync: this.#isInBatch ? 6 : strays,
      stray: strays,
      fatal,
    })
    const acts = {
      simple: () => this.#put(raw.query(this.#queryText())),
      transaction: () => this.#put(raw.query(this.#transactionText())),
      functionCall: () => this.#functionCall(),
      simpleCopy: () => this.#put(raw.query(this.#aroundCopy())),
      extended: () => this.#extended(this.#statementText()),
      extendedCopy: () => this.#extended(sql.copyIn()),
      sync: () => this.#putSync(),
      stray: () => this.#stray(),
      fatal: () => this.#put(raw.message('y', Buffer.from(this.#tag()))),
    }
    acts[kind]()
  }

  #functionCall(): void {
    const argument = this.#random.chance(0.8) ? '-5' : this.#tag()
    this.#put(raw.functionCall(this.#random.chance(0.9) ? 1397 : 999_999, [argument]))
  }

  #stray(): void {
    this.#put(
      this.#random.pick([
        raw.copyData(`${this.#tag()}\t1\n`),
        raw.copyDone(),
        raw.copyFail(this.#tag()),
        raw.flush(),
      ]),
    )
  }

  /** What comes while the server reads copy data. */
  #copyUnit(): void {
    const kind = this.#random.weighted({
      row: 8,
      rows: 2,
      halves: 2,
      badRow: 1,
      syncOrFlush: 2,
      done: 4,
      fail: 1,
      fatal: this.#features.fatal,
    })
    const row = () => `${this.#tag()}\t${this.#random.int(100)}\n`
    const acts = {
      row: () => this.#put(raw.copyData(row())),
      rows: () => this.#put(raw.copyData(row() + row() + row())),
      halves: () => {
        const text = row()
        const cut = 1 + this.#random.int(text.length - 1)
        this.#put(raw.copyData(text.slice(0, cut)), raw.copyData(text.slice(cut)))
      },
      badRow: () => this.#put(raw.copyData(`${this.#tag()}\tbad\n`)),
      syncOrFlush: () => {
        if (this.#random.chance(0.6)) this.#putSync()
        else this.#put(raw.flush())
      },
      done: () => this.#put(raw.copyDone()),
      fail: () => this.#put(raw.copyFail(this.#tag())),
      fatal: () =>
        this.#put(this.#random.pick([raw.query(sql.begin()), raw.terminate(), raw.execute()])),
    }
    acts[kind]()
  }

  #aroundCopy(): string {
    const before = this.#random.chance(0.2) ? [this.#statementText()] : []
    const after = this.#random.chance(0.3) ? [this.#statementText()] : []
    return [...before, sql.copyIn(), ...after].join('; ')
  }

  #queryText(): string {
    if (this.#random.chance(0.05)) return this.#random.pick(['', ' ', '-- nothing', ';;'])
    const count = this.#random.weighted({ 1: 6, 2: 2, 3: 1 })
    return Array.from({ length: Number(count) }, () =>
      this.#random.chance(0.25) ? this.#transactionText() : this.#statementText(),
    ).join('; ')
  }

  #transactionText(): string {
    const { savepoints } = this.#features
    const name = `s${this.#random.int(2)}`
    const kind = this.#random.weighted({ begin: 6, commit: 4, rollback: 3, chain: 1, savepoints })
    switch (kind) {
      case 'begin':
        return sql.begin()
      case 'commit':
        return sql.commit()
      case 'rollback':
        return sql.rollback()
      case 'chain':
        return this.#random.pick([sql.commitAndChain(), sql.rollbackAndChain()])
      case 'savepoints':
        return this.#random.pick([sql.savepoint(name), sql.rollbackTo(name), sql.release(name)])
    }
  }

  #statementText(): string {
    const { settings, discardAll } = this.#features
    const kind = this.#random.weighted({
      rows: 10,
      insert: 3,
      copyOut: 2,
      unknownColumn: 2,
      syntaxError: 1,
      lateError: 2,
      notice: 1,
      sleep: 1,
      settings,
      discardAll,
    })
    const tag = this.#tag()
    switch (kind) {
      case 'copyOut':
        return sql.copyOut(tag, this.#random.int(5))
      case 'lateError':
        return sql.lateError(tag, this.#random.int(4))
      case 'rows':
        return sql.rows(tag, this.#random.int(6))
      case 'sleep':
        return sql.sleep(tag, this.#random.pick([0, 0.002]))
      case 'settings':
        return this.#settingText(tag)
      case 'discardAll':
        return sql.discardAll()
      default:
        return sql[kind](tag)
    }
  }

  #settingText(tag: string): string {
    const name = this.#random.pick(this.#settingNames)
    return this.#random.pick([
      sql.set(name, tag),
      sql.setLocal(name, tag),
      sql.reset(name),
      sql.show(name),
    ])
  }

  /** Parse, Bind, Describe, Execute, Close in an order that is mostly right, and rarely not. */
  #extended(text: string): void {
    const { names, reuse } = this.#features
    const named = (prefix: string) =>
      this.#random.weighted({ yes: names, no: 6 }) === 'yes' ? prefix + this.#random.int(2) : ''
    const statement = named('st')
    const portal = named('po')
    const bound = this.#random.chance(0.3) ? this.#boundText() : null
    const sometimes = (probability: number, ...messages: Buffer[]) => {
      if (this.#random.chance(probability)) this.#put(...messages)
    }
    sometimes(statement === '' ? 0.02 : 0.4, raw.closeMessage('statement', statement))
    sometimes(1 - reuse / 10, raw.parse(statement, bound?.text ?? this.#parseText(text)))
    sometimes(0.2, raw.describeMessage('statement', statement))
    sometimes(0.05, raw.flush())
    const values = bound?.values ?? []
    const hasBind = this.#random.chance(0.95)
    if (hasBind) this.#put(raw.bind({ portal, statement, values }))
    sometimes(0.3, raw.describeMessage('portal', portal))
    // Postgres 18 reads freed memory, and may crash, when the unnamed portal that a failed Query
    // left behind in a block is executed.
    if (hasBind || portal !== '' || this.#session.status !== 'E') {
      sometimes(0.95, raw.execute(portal, this.#random.pick([0, 0, 0, 1, 3])))
      sometimes(0.15, raw.execute(portal, 2))
    }
    sometimes(0.15, raw.closeMessage('portal', portal))
    sometimes(0.03, raw.message('D', Buffer.from('Qx\0')))
    if (this.#random.chance(0.7)) this.#putSync()
    if (this.#random.chance(0.1)) this.#putSync()
  }

  #boundText(): { text: string; values: string[] } {
    const tag = this.#tag()
    if (this.#features.settings > 0 && this.#random.chance(0.2)) {
      const name = this.#random.pick(this.#settingNames)
      return { text: sql.setConfig(), values: [name, tag] }
    }
    return { text: sql.boundRows(this.#random.int(6)), values: [tag] }
  }

  #parseText(text: string): string {
    const kind = this.#random.weighted({ given: 20, transaction: 5, empty: 1, several: 1 })
    if (kind === 'given' || text === sql.copyIn()) return text
    if (kind === 'transaction') return this.#transactionText()
    return kind === 'empty' ? '' : `${text}; ${text}`
  }
}

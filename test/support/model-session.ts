// One Postgres backend after login as a coroutine without I/O: messages in, replies out, after
// src/backend/tcop/postgres.c and commands/copyfromparse.c. It is exact as to which replies are
// owed; it stores no data. test/integration/model-server.test.ts holds it against a real server.

import { copyIn } from './model-copy-in.ts'
import { ModelPortals } from './model-portals.ts'
import { analyse, countedRows, invalidInteger, rowsFor, rowsTag } from './model-rows.ts'
import {
  columnsOf,
  isExitStatement,
  ModelError,
  readStatements,
  type Statement,
  type StatementReader,
} from './model-statements.ts'
import { ModelTransaction, type TransactionOutcome } from './model-transaction.ts'
import * as raw from './raw-messages.ts'
import { cstringsOf } from './raw-replies.ts'

export interface ModelSessionOptions {
  /** Settings told by ParameterStatus, with the values that RESET goes back to. */
  readonly reported?: ReadonlyMap<string, string>
  readonly readOther?: StatementReader
}

/** What the session waits for. */
export type ModelWant =
  | { readonly kind: 'command' }
  | { readonly kind: 'copyData' }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'closed' }

export type ModelEvent = raw.RawMessage | 'woken' | 'cancel' | 'end'

/** abs(integer) in pg_proc, the one function that FunctionCall knows. */
const absoluteOid = 1397
const aborted = (): ModelError =>
  new ModelError(
    '25P02',
    'current transaction is aborted, commands ignored until end of transaction block',
  )

export class ModelSession {
  readonly #transaction: ModelTransaction
  readonly #portals = new ModelPortals()
  readonly #readOther: StatementReader
  readonly #told = new Map<string, string>()
  readonly #backend: Generator<ModelWant, void, ModelEvent>
  #want: ModelWant = { kind: 'command' }
  #out: Buffer[] = []
  /** Replies before this index have been flushed; the rest waits as in a server's buffer. */
  #flushedTo = 0
  #isExtended = false
  #isSkipping = false
  #isReadyOwed = false
  /** No message since the last ReadyForQuery that is owed one. */
  #isAtBoundary = true

  constructor(options: ModelSessionOptions = {}) {
    const reported = options.reported ?? new Map([['application_name', '']])
    this.#readOther = options.readOther ?? (() => null)
    this.#transaction = new ModelTransaction(lowerCased(reported), this.#portals)
    for (const [name, value] of reported) this.#told.set(name, value)
    this.#backend = this.#serve()
    this.#advance('woken')
  }

  get want(): ModelWant {
    return this.#want
  }

  /** The status byte that a ReadyForQuery would carry now. */
  get status(): raw.TransactionStatus {
    return this.#transaction.status
  }

  /** No transaction, no batch without its Sync, no copy: another client could go on from here. */
  get isAtRest(): boolean {
    return this.#want.kind === 'command' && this.#isAtBoundary && this.status === 'I'
  }

  /** The next statement fails with XX000, whoever sends it (see ModelTransaction.startCommand). */
  get isHalfEnded(): boolean {
    return this.#transaction.isHalfEnded
  }

  /** A Sync now would make `isHalfEnded` true. */
  get isHalfOpen(): boolean {
    return this.#transaction.isHalfOpen
  }

  receive(message: raw.RawMessage): void {
    this.#advance(message)
  }

  /** The time of a sleep is over. */
  wake(): void {
    if (this.#want.kind === 'sleep') this.#advance('woken')
  }

  /** As SIGINT: ends what runs, does nothing to an idle session. */
  cancel(): void {
    if (this.#want.kind === 'sleep' || this.#want.kind === 'copyData') this.#advance('cancel')
  }

  /** End-of-file from the client. */
  end(): void {
    this.#advance('end')
  }

  /** Replies that a server would have sent by now; `isAll`: also those in its buffer. */
  take(isAll = false): Buffer {
    const count = isAll ? this.#out.length : this.#flushedTo
    const taken = Buffer.concat(this.#out.slice(0, count))
    this.#out = this.#out.slice(count)
    this.#flushedTo = 0
    return taken
  }

  #advance(event: ModelEvent): void {
    if (this.#want.kind === 'closed') return
    const step = this.#backend.next(event)
    this.#want = step.done ? { kind: 'closed' } : step.value
    if (step.done) this.#flush()
  }

  #send(...messages: Buffer[]): void {
    this.#out.push(...messages)
  }

  #flush(): void {
    this.#flushedTo = this.#out.length
  }

  // The command loop

  *#serve(): Generator<ModelWant, void, ModelEvent> {
    for (;;) {
      if (this.#isReadyOwed) this.#sendReady()
      const event = yield { kind: 'command' }
      if (event === 'end') return
      if (typeof event === 'string') continue
      try {
        const isOver = yield* this.#command(event)
        if (isOver) return
      } catch (error) {
        if (!(error instanceof ModelError)) throw error
        if (this.#fail(error)) return
      }
    }
  }

  #sendReady(): void {
    for (const [name, before] of this.#told) {
      const now = this.#transaction.setting(name.toLowerCase())
      if (now === before || now === null) continue
      this.#told.set(name, now)
      this.#send(raw.parameterStatus(name, now))
    }
    this.#send(raw.readyForQuery(this.status))
    this.#flush()
    this.#isReadyOwed = false
    this.#isAtBoundary = true
  }

  /** Reports an error; true when it ends the connection. */
  #fail(error: ModelError): boolean {
    this.#send(raw.postgresError(error.severity, error.sqlState, error.message))
    this.#flush()
    if (error.severity === 'FATAL') return true
    this.#transaction.abort()
    if (this.#isExtended) this.#isSkipping = true
    else this.#isReadyOwed = true
    return false
  }

  /** True at Terminate. */
  *#command(message: raw.RawMessage): Generator<ModelWant, boolean, ModelEvent> {
    const { type, body } = message
    if (!'QFXBCDEHPSdcf'.includes(type)) {
      const text = `invalid frontend message type ${type.charCodeAt(0)}`
      throw new ModelError('08P01', text, 'FATAL')
    }
    if (type === 'X') return true
    this.#isExtended = 'BCDEHP'.includes(type)
    if (type === 'S') this.#isSkipping = false
    if (this.#isSkipping || 'dcf'.includes(type)) return false
    if (type !== 'H') this.#isAtBoundary = false
    if (type === 'Q') yield* this.#simpleQuery(body)
    else if (type === 'E') yield* this.#execute(body)
    else if (type === 'F') this.#functionCall(body)
    else if (type === 'S') this.#sync(body)
    else if (type === 'H') this.#flush()
    else this.#prepareOrDescribe(type, body)
    return false
  }

  #sync(body: Buffer): void {
    if (body.length > 0) throw new ModelError('08P01', 'invalid message format')
    this.#transaction.endImplicitBlock()
    this.#transaction.finishCommand()
    this.#isReadyOwed = true
  }

  #functionCall(body: Buffer): void {
    this.#transaction.startCommand()
    if (this.#transaction.isFailed) throw aborted()
    const oid = body.readInt32BE(0)
    if (oid !== absoluteOid) {
      throw new ModelError('42883', `function with OID ${oid} does not exist`)
    }
    const argument = body.toString('utf8', 12, 12 + body.readInt32BE(8))
    if (!/^-?\d+$/.test(argument)) throw invalidInteger(argument)
    this.#send(raw.functionCallResponse(String(Math.abs(Number(argument)))))
    this.#transaction.finishCommand()
    this.#isReadyOwed = true
  }

  *#simpleQuery(body: Buffer): Generator<ModelWant, void, ModelEvent> {
    this.#transaction.startCommand()
    this.#portals.closeStatement('')
    const statements = readStatements(cstringsOf(body)[0] ?? '', this.#readOther)
    for (const [index, statement] of statements.entries()) {
      if (this.#transaction.isFailed && !isExitStatement(statement)) throw aborted()
      this.#transaction.startCommand()
      if (statements.length > 1) this.#transaction.startImplicitBlock()
      analyse(statement)
      // A Query runs through the unnamed portal, and leaves it behind when it fails in a block.
      this.#portals.closePortal('')
      const bound = { portal: '', statement, values: [], mayRunFailed: true }
      this.#portals.bind(bound, this.#transaction.depth)
      this.#portals.find('').isDone = true
      const columns = columnsOf(statement)
      if (columns !== null) this.#send(raw.rowDescription(columns))
      const commandTag = yield* this.#run(statement)
      this.#portals.closePortal('')
      if (index === statements.length - 1) {
        if (statements.length > 1) this.#transaction.endImplicitBlock()
        this.#transaction.finishCommand()
      } else if (statement.kind === 'transaction') this.#transaction.finishCommand()
      this.#send(raw.commandComplete(commandTag))
    }
    if (statements.length === 0) this.#send(raw.emptyQueryResponse())
    this.#transaction.finishCommand()
    this.#isReadyOwed = true
  }

  // The extended protocol

  #prepareOrDescribe(type: string, body: Buffer): void {
    const transaction = this.#transaction
    if (type === 'C') {
      this.#send(this.#portals.close(body))
      return
    }
    if (type === 'B') {
      const bound = this.#portals.readBind(body)
      transaction.startCommand()
      this.#portals.checkValues(bound)
      if (transaction.isFailed && !bound.mayRunFailed) throw aborted()
      this.#portals.bind(bound, transaction.depth, transaction.isFailed)
      this.#send(raw.bindComplete())
      return
    }
    transaction.startCommand()
    if (type === 'D') {
      this.#send(this.#portals.describe(body, transaction.isFailed ? aborted : null))
      return
    }
    const [name = '', text = ''] = cstringsOf(body)
    if (name === '') this.#portals.closeStatement('')
    const statements = readStatements(text, this.#readOther)
    if (statements.length > 1) {
      throw new ModelError('42601', 'cannot insert multiple commands into a prepared statement')
    }
    const statement = statements[0] ?? null
    if (transaction.isFailed && statement !== null && !isExitStatement(statement)) throw aborted()
    if (statement !== null) analyse(statement)
    this.#portals.prepare(name, statement)
    this.#send(raw.parseComplete())
  }

  *#execute(body: Buffer): Generator<ModelWant, void, ModelEvent> {
    const transaction = this.#transaction
    const portal = this.#portals.find(cstringsOf(body)[0] ?? '')
    const rowsMax = body.readInt32BE(body.length - 4)
    const { statement } = portal
    if (statement === null) {
      this.#send(raw.emptyQueryResponse())
      return
    }
    transaction.startCommand()
    if (transaction.isFailed && (portal.hasFailed || !isExitStatement(statement))) throw aborted()
    if (columnsOf(statement) !== null) {
      const rows = this.#portals.fetch(portal, rowsMax, () =>
        rowsFor(statement, portal.values, transaction),
      )
      if (statement.kind === 'sleep' && rows.isFirst) yield* this.#sleep(statement.ms)
      for (const row of rows.rows) this.#send(raw.dataRow(row))
      this.#portals.throwLate(portal, rows.isAtEnd)
      transaction.markPipelining()
      if (rows.isAtEnd) this.#send(raw.commandComplete(rowsTag(statement, rows.rows.length)))
      else this.#send(raw.portalSuspended())
      return
    }
    if (portal.isDone) {
      throw new ModelError('55000', `portal "${portal.name}" cannot be run`)
    }
    portal.isDone = true
    const commandTag = yield* this.#run(statement)
    if (statement.kind === 'transaction' || statement.kind === 'discardAll') {
      transaction.finishCommand()
    } else transaction.markPipelining()
    this.#send(raw.commandComplete(commandTag))
  }

  // Statements

  /** Runs a statement to its end with all its rows; gives the command tag. */
  *#run(statement: Statement): Generator<ModelWant, string, ModelEvent> {
    switch (statement.kind) {
      case 'transaction':
        return this.#tagOf(this.#transaction.run(statement.verb, statement.name))
      case 'set':
        return this.#tagOf(
          this.#transaction.set(statement.name, statement.value, statement.isLocal),
        )
      case 'insert':
        return 'INSERT 0 1'
      case 'notice':
        this.#send(raw.noticeResponse({ S: 'NOTICE', V: 'NOTICE', C: '00000', M: statement.tag }))
        this.#flush()
        return 'DO'
      case 'copyIn':
        this.#send(raw.copyResponse('G', 2))
        this.#flush()
        return yield* copyIn((reply) => this.#send(reply))
      case 'copyOut': {
        this.#send(raw.copyResponse('H', 2))
        for (const row of countedRows(statement.tag, statement.count)) {
          this.#send(raw.copyData(`${row.join('\t')}\n`))
        }
        this.#send(raw.copyDone())
        return `COPY ${statement.count}`
      }
      case 'discardAll':
        this.#transaction.preventInBlock('DISCARD ALL')
        this.#portals.discardAll()
        this.#transaction.resetSettings()
        return 'DISCARD ALL'
      default:
        return yield* this.#runRows(statement)
    }
  }

  *#runRows(statement: Statement): Generator<ModelWant, string, ModelEvent> {
    if (statement.kind === 'sleep') yield* this.#sleep(statement.ms)
    const { rows, failure } = rowsFor(statement, [], this.#transaction)
    for (const row of rows) this.#send(raw.dataRow(row))
    if (failure !== null) throw failure
    return rowsTag(statement, rows.length)
  }

  #tagOf({ commandTag, warnings }: TransactionOutcome): string {
    for (const { sqlState, text } of warnings) {
      this.#send(raw.noticeResponse({ S: 'WARNING', V: 'WARNING', C: sqlState, M: text }))
      this.#flush()
    }
    return commandTag
  }

  *#sleep(ms: number): Generator<ModelWant, void, ModelEvent> {
    for (;;) {
      const event = yield { kind: 'sleep', ms }
      if (event === 'woken') return
      if (event === 'cancel') {
        throw new ModelError('57014', 'canceling statement due to user request')
      }
    }
  }
}

const lowerCased = (settings: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map([...settings].map(([name, value]) => [name.toLowerCase(), value]))

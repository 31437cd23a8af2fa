// One client's prepared statements in transaction mode. The client's names stay the client's; on
// servers a statement has a name made from its content, and a server learns it when it is first
// needed there. What a server has already is answered by us, in order with its other replies.
import { PoolerError } from '../../shared/errors.ts'
import { errorResponseOf } from '../../shared/protocol/error-response.ts'
import { frontend, headerBytes, status } from '../../shared/protocol/message-types.ts'
import { MessageWriter } from '../../shared/protocol/message-writer.ts'
import { clientStatementBytesMax, statementNameBytesMax } from '../config/limits.ts'
import type { ServerLink } from './server-link.ts'
import type { Statement, StatementCatalog } from './statement-catalog.ts'
import type { StatementObserver } from './statement-observer.ts'
import { type Operation, StatementOperations, type Unnamed } from './statement-operations.ts'

export interface StatementLimits {
  /** SERVER_PREPARED_STATEMENTS_MAX. */
  readonly serverStatementsMax: number
  /** CLIENT_PREPARED_STATEMENTS_MAX. */
  readonly clientStatementsMax: number
}

export interface StatementUse {
  readonly type: number
  /** One character for each byte. */
  readonly name: string
  readonly beforeName: Buffer
  readonly bodyBytes: number
}

/** Bytes that stand for a message's header and the first `bodyBytes` of its body. */
export interface Substitute {
  readonly head: Buffer
  readonly bodyBytes: number
}

export class PreparedStatements implements StatementObserver {
  readonly #catalog: StatementCatalog
  readonly #limits: StatementLimits
  readonly #names = new Map<string, Statement>()
  /** Names as they will be when what is on its way succeeds; null: closed. */
  readonly #expected = new Map<string, Statement | null>()
  readonly #operations: StatementOperations
  #bytes = 0
  #unnamed: Unnamed | null = null
  #unnamedExpected: Unnamed | null = null
  #link: ServerLink | null = null
  /** Stands for the server's next error. */
  #errorInstead: Buffer | null = null

  constructor(catalog: StatementCatalog, limits: StatementLimits) {
    this.#catalog = catalog
    this.#limits = limits
    this.#operations = new StatementOperations({
      onNamed: (name, statement) => this.#setName(name, statement),
      onClosed: (name) => this.#dropName(name),
      onUnnamed: (unnamed) => {
        this.#unnamed = unnamed
      },
      onGivenUp: (statement) => this.#catalog.give(statement),
    })
  }

  /** True when an error's text may have to be put right. */
  get readsErrors(): boolean {
    return this.#names.size > 0 || !this.#operations.isEmpty || this.#errorInstead !== null
  }

  attach(link: ServerLink): void {
    this.#link = link
    link.statements.hold++
    link.tracker.observer = this
  }

  detach(link: ServerLink): void {
    link.tracker.observer = null
    this.#link = null
  }

  /** The client is gone. */
  leave(): void {
    for (const statement of this.#names.values()) this.#catalog.give(statement)
    this.#names.clear()
    while (!this.#operations.isEmpty) this.#operations.lapse()
  }

  onNotedDone(): void {
    const { statements } = this.#server
    this.#operations.confirm(statements)
    if (this.#operations.isEmpty) this.#settle()
  }

  onNotedLapsed(isCause: boolean): void {
    const operation = this.#operations.lapse()
    if (isCause && operation?.kind === 'refuse') this.#errorInstead = operation.error
    if (operation?.kind === 'unnamed') this.#server.statements.unnamed = unknownUnnamed
    this.#expectAnew()
  }

  /** The unnamed statement's Parse; null where its body is too long to be kept. */
  onUnnamedParse(body: Buffer | null): void {
    if (!this.#server.tracker.sentNoted(frontend.parse)) return
    // Drivers parse the same text again and again: then nothing is copied.
    const known = this.#unnamedExpected
    const isSame = body !== null && known?.parse?.subarray(headerBytes).equals(body) === true
    const unnamed = isSame && known !== null ? known : { parse: body && parseOf(body) }
    this.#push({ kind: 'unnamed', unnamed, isClients: true })
  }

  /**
   * A named Parse too long to be kept, which goes on under `serverName` to the one server that will
   * ever have it. null: it is swallowed.
   */
  onLargeParse(name: string, bodyBytes: number, serverName: string): Substitute | null {
    const { tracker } = this.#server
    const taken = this.#statementOf(name)
    if (taken === null && this.#isFull(name.length, 0)) {
      this.#refuse(limitReached(this.#limits, name))
      return null
    }
    if (taken !== null) this.#ensure(taken)
    if (!tracker.sentNoted(frontend.parse)) return null
    const statement = this.#catalog.takeNamed(serverName)
    const isTaken = taken !== null
    if (isTaken) this.#push({ kind: 'refuse', error: null })
    else this.#push({ kind: 'name', name, statement, isSent: true })
    const head = new MessageWriter()
      .begin(frontend.parse)
      .cstring(isTaken ? taken.serverName : serverName)
      .end()
      .take()
    head.writeUInt32BE(head.length - 1 + bodyBytes - name.length - 1, 1)
    if (isTaken) this.#catalog.give(statement)
    return { head, bodyBytes: name.length + 1 }
  }

  /** `content` is the body behind the name: text and parameter types; it is copied where kept. */
  onParse(name: string, content: Buffer, environment: string): void {
    const { tracker, statements } = this.#server
    const taken = this.#statementOf(name)
    if (taken !== null) {
      this.#refuseTaken(taken, content)
      return
    }
    if (this.#isFull(name.length, content.length)) {
      this.#refuse(limitReached(this.#limits, name))
      return
    }
    // In a failed transaction Postgres refuses most texts and takes ROLLBACK: it is for the server
    // to say, under a name that it cannot have.
    const isFailed = tracker.owed === 0 && tracker.status === status.failed
    const statement = isFailed
      ? this.#catalog.takeAlone(content)
      : this.#catalog.take(environment, content)
    const isThere = statements.has(statement.serverName)
    const isNoted = isThere ? tracker.answered(frontend.parse) : tracker.sentNoted(frontend.parse)
    if (!isNoted) {
      this.#catalog.give(statement)
      return
    }
    if (!isThere) this.#send(statement.parse)
    this.#push({ kind: 'name', name, statement, isSent: !isThere })
    if (isThere) statements.touch(statement.serverName)
    else this.#makeRoom()
  }

  /**
   * Bind or Describe of a statement, whose name begins at `nameAt` of the body. Puts in front what the
   * server lacks; null: the message goes on as it is.
   */
  onUse(use: StatementUse): Substitute | null {
    const { name, type, beforeName, bodyBytes } = use
    const statement = this.#statementOf(name)
    // Unknown here, unknown there: the server says so in its own words.
    if (statement === null) return null
    this.#ensure(statement)
    const head = new MessageWriter()
      .begin(type)
      .bytes(beforeName)
      .cstring(statement.serverName)
      .end()
      .take()
    const taken = beforeName.length + name.length + 1
    head.writeUInt32BE(head.length - 1 + bodyBytes - taken, 1)
    return { head, bodyBytes: taken }
  }

  /**
   * Close of a statement: true when it goes on to the server. The server's copy stays for others; the
   * name is the client's alone.
   */
  onClose(name: string): boolean {
    const { tracker } = this.#server
    if (name === '') {
      if (tracker.sentNoted(frontend.close)) {
        this.#push({ kind: 'unnamed', unnamed: null, isClients: true })
      }
      return true
    }
    if (this.#statementOf(name) === null) return tracker.sent(frontend.close)
    if (tracker.answered(frontend.close)) this.#push({ kind: 'unname', name })
    return false
  }

  /** A simple Query destroys the unnamed statement. */
  onQuery(): void {
    this.#unnamed = null
    this.#unnamedExpected = null
    this.#server.statements.unnamed = null
  }

  /** DISCARD ALL or DEALLOCATE ALL has run. */
  onAllClosed(): void {
    for (const name of [...this.#names.keys()]) this.#dropName(name)
    this.#server.statements.clear()
    this.#expectAnew()
  }

  /** The client's name for a statement; null: it has none. */
  nameOf(serverName: string): string | null {
    for (const [name, statement] of this.#names)
      if (statement.serverName === serverName) return name
    return null
  }

  /** Takes what stands for the server's error, once. */
  takeErrorInstead(): Buffer | null {
    const error = this.#errorInstead
    this.#errorInstead = null
    return error
  }

  get #server(): ServerLink {
    return this.#link as ServerLink
  }

  /** Bind or Describe of the unnamed statement: the server has this client's, or none, from here on. */
  onUnnamedUse(): void {
    const { tracker, statements } = this.#server
    const wanted = this.#unnamedExpected
    if (statements.unnamed === wanted) return
    // Another client's text must not be run with this one's values: what cannot be parsed again is
    // closed, and the server says that there is no such statement.
    const bytes = wanted?.parse ?? closeUnnamed
    const type = bytes === closeUnnamed ? frontend.close : frontend.parse
    if (!tracker.sentQuietly(type)) return
    this.#send(bytes)
    const unnamed = type === frontend.parse ? wanted : null
    this.#push({ kind: 'unnamed', unnamed, isClients: false })
  }

  #ensure(statement: Statement): void {
    const { tracker, statements } = this.#server
    const { serverName } = statement
    if (statements.has(serverName)) {
      statements.touch(serverName)
      return
    }
    if (!tracker.sentQuietly(frontend.parse)) return
    this.#send(statement.parse)
    this.#push({ kind: 'learn', statement })
    this.#makeRoom()
  }

  /** Behind a message that makes a statement: one that has not been used for long is closed. */
  #makeRoom(): void {
    const { tracker, statements } = this.#server
    if (statements.size <= this.#limits.serverStatementsMax) return
    const serverName = statements.evictable()
    if (serverName === null || !tracker.sentQuietly(frontend.close)) return
    this.#send(closeMessage(serverName))
    this.#push({ kind: 'evict', serverName })
  }

  /** Postgres' own 42P05: the Parse goes on under the name that the server has. */
  #refuseTaken(taken: Statement, content: Buffer): void {
    this.#ensure(taken)
    const { tracker } = this.#server
    if (!tracker.sentNoted(frontend.parse)) return
    this.#send(
      new MessageWriter()
        .begin(frontend.parse)
        .cstring(taken.serverName)
        .bytes(content)
        .end()
        .take(),
    )
    this.#push({ kind: 'refuse', error: null })
  }

  /** A Parse that fails on the server, so that batch and transaction are where Postgres has them. */
  #refuse(error: Buffer): void {
    if (!this.#server.tracker.sentNoted(frontend.parse)) return
    this.#send(unparsable)
    this.#push({ kind: 'refuse', error })
  }

  #send(bytes: Buffer): void {
    const { transport } = this.#server
    transport.hold()
    transport.write(bytes)
  }

  #push(operation: Operation): void {
    this.#operations.push(operation)
    this.#expect(operation)
  }

  #expect(operation: Operation): void {
    const { statements } = this.#server
    switch (operation.kind) {
      case 'name':
        this.#expected.set(operation.name, operation.statement)
        if (operation.isSent) statements.expect(operation.statement.serverName, true)
        break
      case 'learn':
        statements.expect(operation.statement.serverName, true)
        break
      case 'unname':
        this.#expected.set(operation.name, null)
        break
      case 'evict':
        statements.expect(operation.serverName, false)
        break
      case 'unnamed':
        if (operation.isClients) this.#unnamedExpected = operation.unnamed
        statements.unnamed = operation.unnamed
        break
      case 'refuse':
        break
    }
  }

  /** Something that was expected will not come: what else is on its way is looked at again. */
  #expectAnew(): void {
    this.#settle()
    for (const operation of this.#operations) this.#expect(operation)
  }

  #settle(): void {
    this.#expected.clear()
    this.#unnamedExpected = this.#unnamed
    this.#link?.statements.forgetExpected()
  }

  #statementOf(name: string): Statement | null {
    const expected = this.#expected.get(name)
    if (expected !== undefined) return expected
    return this.#names.get(name) ?? null
  }

  /** Names are the client's to choose and kept with what they name. */
  #isFull(nameBytes: number, textBytes: number): boolean {
    if (nameBytes > statementNameBytesMax) return true
    const isMany = this.#names.size + this.#expected.size >= this.#limits.clientStatementsMax
    return isMany || this.#bytes + nameBytes + textBytes > clientStatementBytesMax
  }

  #setName(name: string, statement: Statement): void {
    this.#dropName(name)
    this.#names.set(name, statement)
    this.#bytes += statement.parse.length + name.length
  }

  #dropName(name: string): void {
    const statement = this.#names.get(name)
    if (statement === undefined) return
    this.#names.delete(name)
    this.#bytes -= statement.parse.length + name.length
    this.#catalog.give(statement)
  }
}

const parseOf = (body: Buffer): Buffer =>
  new MessageWriter().begin(frontend.parse).bytes(body).end().take()

const closeMessage = (name: string): Buffer =>
  new MessageWriter().begin(frontend.close).byte(0x53).cstring(name).end().take()

const closeUnnamed = closeMessage('')

/** On a server where it is not known whose text the unnamed statement has. */
const unknownUnnamed: Unnamed = { parse: null }

const unparsable = new MessageWriter()
  .begin(frontend.parse)
  .cstring('')
  .cstring('latchkey: too many prepared statements')
  .int16(0)
  .end()
  .take()

const limitReached = ({ clientStatementsMax }: StatementLimits, name: string): Buffer => {
  const isLong = name.length > statementNameBytesMax
  const detail = isLong ? { detail: `the statement's name has ${name.length} bytes` } : {}
  const values = { limit: clientStatementsMax }
  return errorResponseOf(new PoolerError('EPREPAREDLIMIT', { values, ...detail }))
}

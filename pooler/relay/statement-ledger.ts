// What a client's prepared statements are, and what they will be when everything on its way succeeds;
// and the same of the server that it holds, as far as this client's messages change it.
import { isUtf8 } from 'node:buffer'
import type { PoolerError } from '../../shared/errors.ts'
import { noBytes } from '../../shared/no-bytes.ts'
import { clientStatementBytesMax, statementNameBytesMax } from '../config/limits.ts'
import { NameForecast } from './name-forecast.ts'
import type { ServerStatements } from './server-statements.ts'
import { SlotForecast } from './slot-forecast.ts'
import type { Statement, StatementCatalog } from './statement-catalog.ts'
import { statementKey } from './statement-frames.ts'
import {
  type Failure,
  type Operation,
  StatementOperations,
  type Unnamed,
} from './statement-operations.ts'

const unnamed = ''
/** Of a Query: what comes right behind it cannot know whether the server has read it. */
const noBatch = -1
/** Of texts sent ahead: an error to an older one tells our name. */
const inSqlMax = 16

export class StatementLedger {
  readonly #catalog: StatementCatalog
  readonly #statementsMax: number
  readonly #names = new NameForecast<Statement>()
  readonly #unnamed = new SlotForecast<Unnamed>()
  readonly #operations = new StatementOperations()
  /** Of names and texts, those on their way included. */
  #bytes = 0
  /** Of unnamed texts on their way. */
  unnamedBytes = 0
  /** The message that the server's last error was about; null: none of ours, or dealt with. */
  failed: Operation | null = null

  /** The client's unnamed statement, in front of that message. */
  #unnamedBefore: Unnamed | null = null

  /** Of which a description is coming in. */
  described: Extract<Operation, { kind: 'describe' }> | null = null
  /** Describes on their way whose answers are looked at. */
  describing = 0

  /** Names that stand for something, and whose columns the client was told; made when needed. */
  #told: Map<string, 'statement' | 'portal'> | null = null

  /** The statement used last, and the client's name in that use: several names may be for one. */
  #lastName = ''
  #lastServerName = ''

  /** Names by what stood for them in texts last; made when needed. */
  #inSql: Map<string, string> | null = null

  constructor(catalog: StatementCatalog, statementsMax: number) {
    this.#catalog = catalog
    this.#statementsMax = statementsMax
  }

  /** No name, and nothing on its way. */
  get isEmpty(): boolean {
    return this.#names.size === 0 && this.#operations.isEmpty && this.failed === null
  }

  statementOf(name: string): Statement | null {
    return this.#names.get(statementKey(name))
  }

  get unnamed(): Unnamed | null {
    return this.#unnamed.value
  }

  get lastServerName(): string {
    return this.#lastServerName
  }

  get wasUsed(): boolean {
    return this.#lastServerName !== ''
  }

  noteUse(name: string, serverName: string): void {
    this.#lastName = name
    this.#lastServerName = serverName
  }

  /** As `noteUse`, of a name that stands for it in a text, or is taken. */
  noteUseInSql(name: string, serverName: string): void {
    this.noteUse(name, serverName)
    this.#inSql ??= new Map()
    this.#inSql.delete(serverName)
    this.#inSql.set(serverName, name)
    if (this.#inSql.size <= inSqlMax) return
    const [oldest = ''] = this.#inSql.keys()
    this.#inSql.delete(oldest)
  }

  isTold(name: string): boolean {
    return this.#told?.has(statementKey(name)) === true
  }

  /** By Describe of the statement itself: drivers that do so once never ask again. */
  isToldForGood(name: string): boolean {
    return this.#told?.get(statementKey(name)) === 'statement'
  }

  /** The client is being told the columns. */
  tell(name: string, by: 'statement' | 'portal'): void {
    const key = statementKey(name)
    if (this.#names.get(key) === null) return
    this.#told ??= new Map()
    if (this.#told.get(key) !== 'statement') this.#told.set(key, by)
  }

  /** What stands for the server's error; null: nothing. */
  get errorInstead(): PoolerError | Buffer | null {
    return this.failed?.kind === 'refuse' ? this.failed.error : null
  }

  /** The message that the server's last error was about would have made it. */
  hasFailedToMake(serverName: string): boolean {
    const { failed } = this
    const isMaker = failed?.kind === 'name' || failed?.kind === 'learn'
    return isMaker && failed.statement.serverName === serverName
  }

  /** A name that the server knows the statement by; null: there is none. */
  nameOf(serverName: string): string | null {
    const { failed } = this
    if (failed?.kind === 'taken' && failed.serverName === serverName) return failed.name
    if (serverName === this.#lastServerName) return this.#lastName
    for (const [name, statement] of this.#names.confirmed())
      if (statement.serverName === serverName) return name
    return this.#inSql?.get(serverName) ?? null
  }

  /** Names are the client's to choose and kept with what they name. */
  isFull(nameBytes: number, textBytes: number): boolean {
    if (nameBytes > statementNameBytesMax) return true
    if (this.#names.size >= this.#statementsMax) return true
    return this.#bytes + nameBytes + textBytes > clientStatementBytesMax
  }

  /** As NameForecast.isUncertain. */
  isUncertain(name: string, batch: number): boolean {
    return name === unnamed
      ? this.#unnamed.isUncertain(batch)
      : this.#names.isUncertain(statementKey(name), batch)
  }

  /** It goes to the server. */
  push(operation: Operation, server: ServerStatements, batch: number): void {
    this.#operations.push(operation)
    switch (operation.kind) {
      case 'unnamed':
        this.unnamedBytes += bytesOfUnnamed(operation.unnamed)
        if (operation.isClients) this.#unnamed.expect(operation.unnamed, batch)
        server.expectUnnamed(operation.unnamed, batch)
        break
      case 'name':
        this.#bytes += bytesOf(operation.name, operation.statement)
        this.#names.expect(statementKey(operation.name), operation.statement, batch)
        if (operation.isSent) server.expect(operation.statement.serverName, true, batch)
        break
      case 'learn':
        server.expect(operation.statement.serverName, true, batch)
        break
      case 'describe':
        this.describing++
        break
      case 'unname':
        this.#names.expect(statementKey(operation.name), null, batch)
        break
      case 'query':
        this.#unnamed.expect(null, noBatch)
        server.expectUnnamed(null, noBatch)
        break
      case 'drop':
        server.expect(operation.standIn, false, batch)
        break
      case 'evict':
        server.expect(operation.serverName, false, batch)
        break
    }
  }

  /** The oldest has succeeded. */
  confirm(server: ServerStatements): void {
    const operation = this.#operations.shift()
    this.failed = null
    switch (operation?.kind) {
      case 'unnamed':
        this.unnamedBytes -= bytesOfUnnamed(operation.unnamed)
        server.confirmUnnamed(operation.unnamed)
        if (operation.isClients) this.#unnamed.confirm(operation.unnamed)
        break
      case 'name':
        if (operation.isSent) server.confirm(operation.statement.serverName, true)
        this.#confirm(operation.name, operation.statement)
        if (!operation.isSent) this.#renewUntold(operation.name, operation.statement)
        break
      case 'learn':
        server.confirm(operation.statement.serverName, true)
        break
      case 'describe':
        this.describing--
        this.described = operation
        break
      case 'unname':
        this.#confirm(operation.name, null)
        break
      case 'query':
        server.confirmUnnamed(null)
        // Who is next on it does not go by what the error says.
        if (operation.failed !== null) server.spoilUnnamed()
        if (operation.failed === 'unread') this.#unnamed.lapse()
        else this.#unnamed.confirm(null)
        break
      case 'drop':
        server.confirm(operation.standIn, false)
        this.drop(operation.name)
        break
      case 'evict':
        server.confirm(operation.serverName, false)
        break
      case 'taken':
        // A DEALLOCATE on its way has freed the name, here and on the server.
        server.suspect(operation.serverName)
        this.#take(operation.name, operation.statement)
        break
    }
  }

  /** The oldest was skipped, or failed. */
  lapse(isCause: boolean, server: ServerStatements): void {
    const operation = this.#operations.shift()
    if (operation === null) return
    if (isCause) this.failed = operation
    this.#giveUp(operation)
    switch (operation.kind) {
      case 'name':
        if (operation.isSent) server.lapse(operation.statement.serverName)
        break
      case 'learn':
        server.lapse(operation.statement.serverName)
        break
      case 'evict':
        server.lapseClose(operation.serverName, operation.wasSuspect)
        break
      case 'unnamed':
        server.lapseUnnamed()
        // Postgres drops the one before it looks at the text of the next.
        if (isCause && operation.isClients) this.#unnamedBefore = this.#unnamed.set(null)
        if (isCause) server.spoilUnnamed()
        break
      case 'query':
        server.lapseUnnamed()
        break
      case 'drop':
        server.lapse(operation.standIn)
        break
      case 'refuse':
        if (isCause) server.spoilUnnamed()
        break
    }
  }

  /** An error to the Query that is being answered. */
  failQuery(failure: Failure): void {
    const { oldest } = this
    if (oldest?.kind === 'query') oldest.failed = settled(failure, oldest.isEncoded)
  }

  /** The error to an extended message, which has lapsed. */
  failUnnamed(failure: Failure): void {
    const { failed } = this
    if (failed?.kind === 'unnamed' && failed.isClients) {
      const body = failed.unnamed?.parse ?? noBytes
      const isRead = settled(failure, isUtf8(body)) === 'read'
      if (!isRead) this.#unnamed.set(this.#unnamedBefore)
    }
    this.#unnamedBefore = null
  }

  /** The oldest on its way; null: there is none. */
  get oldest(): Operation | null {
    return this.#operations.oldest
  }

  /** DEALLOCATE of this name has run. */
  drop(name: string): void {
    this.#forget(name, this.#names.set(statementKey(name), null))
    this.#untell(name)
  }

  /** No name stands for anything any more, but for what is on its way. */
  clear(): void {
    for (const [name, statement] of this.#names.clear()) {
      this.#forget(name, statement)
      this.#untell(name)
    }
  }

  /** The name stands for the same text as it is understood now; null: it did not stand for the statement. */
  renew(name: string, statement: Statement): Statement | null {
    if (this.statementOf(name) !== statement) return null
    const renewed = this.#catalog.renewed(statement)
    this.#take(name, renewed)
    return renewed
  }

  leave(): void {
    this.clear()
    for (let next = this.#operations.shift(); next !== null; next = this.#operations.shift()) {
      this.#giveUp(next)
    }
  }

  /** While its Parse was on its way it was found to be another by now, and the client knows nothing of it. */
  #renewUntold(name: string, statement: Statement): void {
    if (statement.shape.isOutdated && !this.isTold(name)) this.renew(name, statement)
  }

  #take(name: string, statement: Statement | null): void {
    if (statement === null) return
    this.#bytes += bytesOf(name, statement)
    const previous = this.#names.set(statementKey(name), statement)
    this.#forget(name, previous)
  }

  #giveUp(operation: Operation): void {
    switch (operation.kind) {
      case 'name':
        this.#names.lapse(statementKey(operation.name))
        this.#forget(operation.name, operation.statement)
        this.#untell(operation.name)
        break
      case 'describe':
        this.describing--
        break
      case 'taken':
        if (operation.statement !== null) this.#catalog.give(operation.statement)
        break
      case 'unname':
        this.#names.lapse(statementKey(operation.name))
        break
      case 'query':
        this.#unnamed.lapse()
        break
      case 'unnamed':
        this.unnamedBytes -= bytesOfUnnamed(operation.unnamed)
        if (operation.isClients) this.#unnamed.lapse()
        break
    }
  }

  #confirm(name: string, statement: Statement | null): void {
    this.#forget(name, this.#names.confirm(statementKey(name), statement))
    if (statement === null) this.#untell(name)
  }

  /** Of a name that is made anew at once it stays: then it is told one time too many. */
  #untell(name: string): void {
    const key = statementKey(name)
    if (this.#names.get(key) === null) this.#told?.delete(key)
  }

  #forget(name: string, statement: Statement | null): void {
    if (statement === null) return
    this.#bytes -= bytesOf(name, statement)
    this.#catalog.give(statement)
  }
}

const settled = (failure: Failure, isEncoded: boolean): Failure => {
  if (failure !== 'unreadable') return failure
  return isEncoded ? 'read' : 'unread'
}

const bytesOf = (name: string, statement: Statement): number =>
  statementKey(name).length + statement.parse.length

const bytesOfUnnamed = (text: Unnamed | null): number => text?.parse?.length ?? 0

// One operator at the console: the protocol, simple and extended, over commands of admin-console.ts.
// One command at a time; while one runs, what comes next waits in the socket.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { PoolerError } from '../../shared/errors.ts'
import {
  authenticationOk,
  backendKeyData,
  bare,
  commandComplete,
  noParameters,
  parameterStatus,
  readyForQuery,
} from '../../shared/protocol/backend-messages.ts'
import { errorResponseOf, noticeResponse } from '../../shared/protocol/error-response.ts'
import { MessageReader, type WholeMessage } from '../../shared/protocol/message-reader.ts'
import { backend, frontend, status } from '../../shared/protocol/message-types.ts'
import type { AdminCommand } from '../admin/admin-answer.ts'
import type { AdminConsole, AdminUser } from '../admin/admin-console.ts'
import type { CancelKeys, CancelTarget } from '../cancel/cancel-keys.ts'
import { adminMessageBytesMax, adminNamesMax } from '../config/limits.ts'
import { refused } from '../pool/command-refusal.ts'
import { queryCanceled } from '../relay/query-canceled.ts'
import { BodyReader, readBind } from './admin-messages.ts'
import { describeColumns, rowsOf } from './admin-rows.ts'
import { readChunk } from './socket-reading.ts'

export interface AdminSessionOptions {
  readonly socket: Socket
  /** What came behind the password. */
  readonly rest: Buffer
  readonly user: AdminUser
  readonly console: AdminConsole
  readonly cancelKeys: CancelKeys
  readonly version: string
  readonly isLongKey: boolean
}

interface Portal {
  readonly command: AdminCommand | null
  readonly formats: readonly number[]
}

export class AdminSession implements CancelTarget {
  readonly #options: AdminSessionOptions
  readonly #reader = new MessageReader({ bodyBytesMax: adminMessageBytesMax })
  readonly #statements = new Map<string, AdminCommand | null>()
  readonly #portals = new Map<string, Portal>()
  /** An error in a batch: everything up to its Sync is passed over. */
  #isSkipping = false
  #isCanceled = false
  #isGone = false
  #reading: Promise<Buffer | null> | null = null

  constructor(options: AdminSessionOptions) {
    this.#options = options
    this.#reader.push(Buffer.from(options.rest))
  }

  async cancel(): Promise<void> {
    this.#isCanceled = true
  }

  /** Until the operator leaves. Throws PoolerError for bytes that are no messages. */
  async run(): Promise<void> {
    const { cancelKeys, isLongKey } = this.#options
    const key = cancelKeys.issue(this, isLongKey)
    try {
      this.#write(
        Buffer.concat([...this.#greeting(), backendKeyData(key.processId, key.secret), ready]),
      )
      for (;;) {
        const message = await this.#next()
        if (message === null || message.type === frontend.terminate) return
        await this.#take(message)
        const { socket } = this.#options
        if (socket.writableNeedDrain) {
          await Promise.race([once(socket, 'drain'), once(socket, 'close')])
        }
      }
    } finally {
      cancelKeys.withdraw(key.processId)
    }
  }

  #greeting(): Buffer[] {
    const reports = {
      server_version: `17.0 (Latchkey ${this.#options.version})`,
      server_encoding: 'UTF8',
      client_encoding: 'UTF8',
      DateStyle: 'ISO, MDY',
      standard_conforming_strings: 'on',
      integer_datetimes: 'on',
    }
    const told = Object.entries(reports).map(([name, value]) => parameterStatus(name, value))
    return [authenticationOk(), ...told]
  }

  async #next(): Promise<WholeMessage | null> {
    for (;;) {
      const message = this.#reader.next()
      if (message !== null) return message
      this.#reading ??= readChunk(this.#options.socket)
      const chunk = await this.#reading
      this.#reading = null
      if (chunk === null) return null
      this.#reader.push(chunk)
    }
  }

  async #take({ type, body }: WholeMessage): Promise<void> {
    if (type === frontend.sync) {
      this.#isSkipping = false
      this.#portals.clear()
      this.#write(ready)
      return
    }
    if (this.#isSkipping && type !== frontend.query) return
    try {
      if (type === frontend.query) await this.#query(new BodyReader(body).text())
      else await this.#takeExtended(type, body)
    } catch (error) {
      if (!(error instanceof PoolerError) || error.row.severity === 'FATAL') throw error
      this.#write(error === canceled ? queryCanceled.raw : errorResponseOf(error))
      this.#isSkipping = type !== frontend.query
    }
    if (type === frontend.query) this.#write(ready)
  }

  async #query(text: string): Promise<void> {
    this.#isSkipping = false
    const command = this.#options.console.prepare(text, this.#options.user)
    if (command?.columns != null) this.#write(describeColumns(command.columns, []))
    await this.#execute({ command, formats: [] })
  }

  async #takeExtended(type: number, body: Buffer): Promise<void> {
    const reader = new BodyReader(body)
    switch (type) {
      case frontend.parse:
        this.#parse(reader.text(), reader.text())
        return
      case frontend.bind:
        this.#bind(body)
        return
      case frontend.describe:
        this.#describe(reader.byte(), reader.text())
        return
      case frontend.execute:
        await this.#execute(found(this.#portals, reader.text()))
        return
      case frontend.close:
        if (reader.byte() === letter('S')) this.#statements.delete(reader.text())
        else this.#portals.delete(reader.text())
        this.#write(bare(backend.closeComplete))
        return
      case frontend.flush:
        return
      default:
        throw new PoolerError('EPROTOCOL', {
          values: { reason: `message 0x${type.toString(16)} at the console` },
        })
    }
  }

  #parse(name: string, text: string): void {
    const command = this.#options.console.prepare(text, this.#options.user)
    makeRoom(this.#statements, name)
    this.#statements.set(name, command)
    this.#write(bare(backend.parseComplete))
  }

  #bind(body: Buffer): void {
    const { portal, statement, resultFormats } = readBind(body)
    makeRoom(this.#portals, portal)
    this.#portals.set(portal, {
      command: found(this.#statements, statement),
      formats: resultFormats,
    })
    this.#write(bare(backend.bindComplete))
  }

  #describe(what: number, name: string): void {
    const isStatement = what === letter('S')
    const { command, formats } = isStatement
      ? { command: found(this.#statements, name), formats: [] }
      : found(this.#portals, name)
    if (isStatement) this.#write(noParameters())
    const columns = command?.columns ?? null
    this.#write(columns === null ? bare(backend.noData) : describeColumns(columns, formats))
  }

  async #execute({ command, formats }: Portal): Promise<void> {
    if (command === null) {
      this.#write(bare(backend.emptyQueryResponse))
      return
    }
    this.#isCanceled = false
    // Heard meanwhile: whether the operator leaves.
    this.#reading ??= readChunk(this.#options.socket)
    void this.#reading.then((chunk) => {
      if (chunk === null) this.#isGone = true
    })
    const answer = await command.run(() => this.#isGone || this.#isCanceled)
    if (this.#isCanceled) throw canceled
    const rows = command.columns === null ? [] : rowsOf(answer, command.columns, formats)
    const notices = answer.notice === null ? [] : [noticeResponse(answer.notice)]
    this.#write(Buffer.concat([...notices, ...rows, commandComplete(answer.tag)]))
  }

  #write(bytes: Buffer): void {
    this.#options.socket.write(bytes)
  }
}

const ready = readyForQuery(status.idle)
/** Told in Postgres' own words. */
const canceled = refused('canceled')
const letter = (text: string): number => text.charCodeAt(0)

function found<Value>(named: ReadonlyMap<string, Value>, name: string): Value {
  if (!named.has(name)) throw refused(`there is no ${JSON.stringify(name.slice(0, 63))}`)
  return named.get(name) as Value
}

function makeRoom(named: ReadonlyMap<string, unknown>, name: string): void {
  if (named.size >= adminNamesMax && !named.has(name)) throw refused('too many names')
}

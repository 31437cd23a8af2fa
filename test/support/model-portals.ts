// Prepared statements and portals of one model session: names, life times, and how far a portal has
// been read. Which replies and errors they give is Postgres' own order of checks (tcop/postgres.c).

import {
  columnsOf,
  isExitStatement,
  ModelError,
  parameterCount,
  type Statement,
} from './model-statements.ts'
import type { PortalOwner } from './model-transaction.ts'
import * as raw from './raw-messages.ts'
import { cstringsOf } from './raw-replies.ts'

type Row = readonly (string | null)[]

export interface ModelPortal {
  readonly name: string
  /** null: an empty query. */
  readonly statement: Statement | null
  readonly values: readonly (string | null)[]
  depth: number
  hasFailed: boolean
  /** Bound in a failed transaction. */
  readonly isFromFailed: boolean
  /** A portal without rows runs once. */
  isDone: boolean
  /** Rows not yet fetched, once it has started. */
  rest: Row[] | null
  /** What comes behind the last row. */
  failure: ModelError | null
}

export interface ReadBind {
  readonly portal: string
  readonly statement: Statement | null
  readonly values: readonly (string | null)[]
  /** True for what may be bound in a failed transaction. */
  readonly mayRunFailed: boolean
}

export class ModelPortals implements PortalOwner {
  readonly #statements = new Map<string, Statement | null>()
  readonly #portals = new Map<string, ModelPortal>()

  prepare(name: string, statement: Statement | null): void {
    if (name !== '' && this.#statements.has(name)) {
      throw new ModelError('42P05', `prepared statement "${name}" already exists`)
    }
    this.#statements.set(name, statement)
  }

  closeStatement(name: string): void {
    this.#statements.delete(name)
  }

  closePortal(name: string): void {
    this.#portals.delete(name)
  }

  /** The unnamed statement stays: Postgres keeps it apart from the named ones. */
  discardAll(): void {
    const unnamed = this.#statements.get('')
    const hasUnnamed = this.#statements.has('')
    this.#statements.clear()
    if (hasUnnamed) this.#statements.set('', unnamed ?? null)
    this.#portals.clear()
  }

  readBind(body: Buffer): ReadBind {
    const [portal = '', name = ''] = cstringsOf(body)
    const statement = this.#statement(name)
    const values = boundValues(body, Buffer.byteLength(portal) + Buffer.byteLength(name) + 2)
    return { portal, statement, values, mayRunFailed: isExitStatement(statement) }
  }

  /** Postgres counts the values only when the transaction has started. */
  checkValues({ statement, values }: ReadBind): void {
    const wanted = parameterCount(statement)
    if (values.length === wanted) return
    const text = `bind message supplies ${values.length} parameters, but the statement requires ${wanted}`
    throw new ModelError('08P01', text)
  }

  bind({ portal, statement, values }: ReadBind, depth: number, isFromFailed = false): void {
    if (portal !== '' && this.#portals.has(portal)) {
      throw new ModelError('42P03', `cursor "${portal}" already exists`)
    }
    this.#portals.set(portal, {
      name: portal,
      statement,
      values,
      depth,
      hasFailed: false,
      isFromFailed,
      isDone: false,
      rest: null,
      failure: null,
    })
  }

  find(name: string): ModelPortal {
    const portal = this.#portals.get(name)
    if (portal === undefined) throw new ModelError('34000', `portal "${name}" does not exist`)
    return portal
  }

  close(body: Buffer): Buffer {
    const { letter, name } = readTarget(body, 'CLOSE')
    if (letter === 'S') this.closeStatement(name)
    else this.closePortal(name)
    return raw.closeComplete()
  }

  /** `aborted` makes the error of a failed transaction; null outside of one. */
  describe(body: Buffer, aborted: (() => ModelError) | null): Buffer {
    const { letter, name } = readTarget(body, 'DESCRIBE')
    const statement = letter === 'S' ? this.#statement(name) : this.find(name).statement
    const columns = columnsOf(statement)
    if (columns !== null && aborted !== null) throw aborted()
    const types = Array(parameterCount(statement)).fill(25)
    return Buffer.concat([
      letter === 'S' ? raw.parameterDescription(types) : Buffer.alloc(0),
      columns === null ? raw.noData() : raw.rowDescription(columns),
    ])
  }

  /**
   * The next rows, all of them with `rowsMax` 0. A portal whose last row was the last one wanted
   * does not know yet that it is at its end.
   */
  fetch(
    portal: ModelPortal,
    rowsMax: number,
    start: () => { rows: readonly Row[]; failure: ModelError | null },
  ): { rows: Row[]; isAtEnd: boolean; isFirst: boolean } {
    const isFirst = portal.rest === null
    if (portal.rest === null) {
      const started = start()
      portal.rest = [...started.rows]
      portal.failure = started.failure
    }
    const wanted = rowsMax > 0 ? rowsMax : Number.POSITIVE_INFINITY
    const isAtEnd = portal.rest.length < wanted
    return { rows: portal.rest.splice(0, wanted), isAtEnd, isFirst }
  }

  throwLate({ failure }: ModelPortal, isAtEnd: boolean): void {
    if (isAtEnd && failure !== null) throw failure
  }

  onPortalsFail(depth: number): void {
    for (const portal of this.#portals.values()) {
      if (portal.depth >= depth) portal.hasFailed = true
    }
  }

  onPortalsEnd(depth: number): string[] {
    const ended = [...this.#portals.values()].filter((portal) => portal.depth >= depth)
    for (const { name } of ended) this.#portals.delete(name)
    return ended
      .filter((portal) => portal.isFromFailed && !portal.isDone && !portal.hasFailed)
      .map(({ name }) => name)
  }

  onPortalsRise(depth: number): void {
    for (const portal of this.#portals.values()) portal.depth = Math.min(portal.depth, depth)
  }

  #statement(name: string): Statement | null {
    const statement = this.#statements.get(name)
    if (statement === undefined) {
      const what = name === '' ? 'unnamed prepared statement' : `prepared statement "${name}"`
      throw new ModelError('26000', `${what} does not exist`)
    }
    return statement
  }
}

function readTarget(body: Buffer, what: string): { letter: string; name: string } {
  const letter = body.toString('latin1', 0, 1)
  if (letter !== 'S' && letter !== 'P') {
    throw new ModelError('08P01', `invalid ${what} message subtype ${body[0]}`)
  }
  return { letter, name: cstringsOf(body.subarray(1))[0] ?? '' }
}

/** Parameter values of a Bind as text, read behind its two names. */
function boundValues(body: Buffer, namesEnd: number): (string | null)[] {
  let at = namesEnd + 2 + 2 * body.readUInt16BE(namesEnd)
  const values: (string | null)[] = []
  const count = body.readUInt16BE(at)
  at += 2
  while (values.length < count) {
    const length = body.readInt32BE(at)
    at += 4
    values.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return values
}

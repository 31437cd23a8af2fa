// Prepared statements of one pool by content: equal ones are one object with one server-side name,
// whatever the clients call them. An entry lives as long as a client has a name for it; who parses its text
// behind a change of the schema gets another one.
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import { noBytes } from '../../shared/no-bytes.ts'
import { headerBytes } from '../../shared/protocol/message-types.ts'
import { statementCheckMs } from '../config/limits.ts'
import { readsClock } from './clock-literals.ts'
import { giveBackSql, lendSql } from './lent-settings.ts'
import type { NamingText } from './naming-text.ts'
import type { SchemaVersion } from './schema-version.ts'
import { noContent, parseMessage, statementKey } from './statement-frames.ts'
import { readsCursor, type StatementShape, unknownShape } from './statement-shape.ts'
import { plainEnvironment, type TextEnvironment } from './text-environment.ts'
import { harmless, type TextVerdict, verdictOfBytes } from './text-verdict.ts'

export interface Statement {
  /** Random to outsiders, so that nobody can prepare one of ours in SQL. */
  readonly serverName: string
  /** The whole Parse message under that name; empty: see isLarge. */
  readonly parse: Buffer
  /** Its text names other statements: what it is on a server depends on what they stand for. */
  readonly naming: NamingText | null
  /** What it gives is settled when it runs: it has no shape. */
  readonly readsCursor: boolean
  /** By which its text is read. */
  readonly environment: TextEnvironment
  readonly shape: StatementShape
  /** Of the client's text. */
  readonly verdict: TextVerdict
}

interface Entry extends Statement {
  readonly key: string
  /** Of the schema, when its text was parsed first; below 0: it is shared with nobody. */
  readonly version: number
  references: number
}

/** A name of ours in the text of an error, or one of the client's that looks the same (see `asForeign`). */
export const serverNamePattern = /_?lk_[0-9a-f]{40}/g
const serverNameAlone = /^_?lk_[0-9a-f]{40}$/

/** The client's own name, and none of ours, where it could be taken for one. */
export const looksLikeOurs = (name: string): boolean => serverNameAlone.test(name)
export const asForeign = (name: string): string => `_${name}`
/** It is on one server only, and its text is not kept. */
export const isLarge = ({ parse }: Statement): boolean => parse.length === 0
const nameHexDigits = 40
/** Of texts of ours: they are read alike by all settings. */
const ours = plainEnvironment('')

/** Texts that are alike with their names translated are told apart by what the clients sent. */
const keyOf = (
  environment: TextEnvironment,
  content: Buffer,
  naming: NamingText | null,
): string => {
  const key = `${environment.key}\0${content.toString('latin1')}`
  return naming === null ? key : `${key}\0${naming.text}`
}

export class StatementCatalog {
  readonly #secret: KeyObject
  readonly #entries = new Map<string, Entry>()
  readonly #schema: SchemaVersion
  readonly #clock: Clock
  #scratches = 0
  #unshared = 0
  /** As many as one text may drop. */
  readonly #standIns: Statement[] = []
  /** See lent-settings.ts. */
  readonly lend: Statement
  readonly giveBack: Statement

  /** `secret`: random for each process. `schema`: of the database that the statements are for. */
  constructor(secret: Buffer, schema: SchemaVersion, clock: Clock) {
    this.#schema = schema
    this.#clock = clock
    this.#secret = createSecretKey(secret)
    this.lend = this.#own(lendSql)
    this.giveBack = this.#own(giveBackSql)
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * The statement with this text and parameter types (the body of Parse behind its name), as it is
   * understood under these settings; to be given back by `give`.
   */
  take(environment: TextEnvironment, content: Buffer, naming: NamingText | null = null): Statement {
    const key = keyOf(environment, content, naming)
    // A text that names statements is made anew with each of these anyway.
    const current = naming === null ? this.#schema.value : 0
    const known = this.#entries.get(key)
    if (known?.version === current) {
      known.references++
      return known
    }
    const isOfTime =
      naming === null && readsClock(content.toString('latin1', 0, content.indexOf(0)))
    const version = isOfTime ? --this.#unshared : current
    const entry: Entry = {
      ...this.#make(version === 0 ? key : `${version}\0${key}`, content, naming, environment),
      key,
      version,
      references: 1,
    }
    this.#entries.set(key, entry)
    return entry
  }

  /** The same text as it is understood now. */
  renewed({ serverName, parse, environment }: Statement): Statement {
    return this.take(environment, parse.subarray(headerBytes + serverName.length + 1))
  }

  /** A statement whose text is not kept: it is on one server only, under this name. */
  takeNamed(serverName: string): Statement {
    const entry: Entry = {
      serverName,
      parse: noBytes,
      naming: null,
      readsCursor: false,
      environment: ours,
      shape: unknownShape(0),
      verdict: harmless, // Its client keeps its server.
      key: serverName,
      version: 0,
      references: 1,
    }
    this.#entries.set(serverName, entry)
    return entry
  }

  /** Its text is to be parsed again before a client is told that it is: a change elsewhere shows no tag. */
  isCheckDue({ shape, readsCursor }: Statement): boolean {
    if (readsCursor) return false
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - shape.parsedMs < statementCheckMs) return false
    shape.parsedMs = nowMs
    return true
  }

  /** The schema has changed, and no tag has told. */
  onOutdated(): void {
    this.#schema.onChanged()
  }

  give(statement: Statement): void {
    const entry = statement as Entry
    if (--entry.references > 0) return
    // A later one may stand in its place.
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
  }

  /** For a statement that is closed right behind its Parse. */
  scratchName(): string {
    return this.#nameOf(`scratch\0${++this.#scratches}`)
  }

  /** What a text that names statements is with its names as they stand now: `content`. */
  variant(naming: NamingText, content: Buffer): Statement {
    const { environment } = naming
    return this.#make(keyOf(environment, content, naming), content, naming, environment)
  }

  /** An empty statement, to be dropped in place of one that others go on using. */
  standIn(index: number): Statement {
    const known = this.#standIns[index]
    if (known !== undefined) return known
    const made = this.#make(`stand-in\0${index}`, noContent, null, ours)
    this.#standIns[index] = made
    return made
  }

  /** An empty statement, to be met by whoever prepares one under this name of a client's, which is taken. */
  taken(name: string): Statement {
    return this.#make(`taken\0${statementKey(name)}`, noContent, null, ours)
  }

  /** A statement of ours that clients' messages need: a text without parameter types. */
  #own(sql: string): Statement {
    return this.#make(`own\0${sql}`, Buffer.from(`${sql}\0\0\0`), null, ours)
  }

  #make(
    key: string,
    content: Buffer,
    naming: NamingText | null,
    environment: TextEnvironment,
  ): Statement {
    const serverName = this.#nameOf(key)
    const parse = parseMessage(serverName, content)
    const text = naming?.content ?? content
    return {
      serverName,
      parse,
      naming,
      readsCursor: readsCursor(content.toString('latin1', 0, content.indexOf(0))),
      environment,
      shape: unknownShape(this.#clock.monotonicMs()),
      verdict: verdictOfBytes(text, 0, text.indexOf(0)),
    }
  }

  #nameOf(key: string): string {
    const digest = createHmac('sha256', this.#secret).update(key, 'latin1').digest('hex')
    return `lk_${digest.slice(0, nameHexDigits)}`
  }
}

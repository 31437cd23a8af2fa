// Prepared statements of one pool by content: equal ones are one object with one server-side name,
// whatever the clients call them. An entry lives as long as a client has a name for it.
import { createHmac } from 'node:crypto'
import { closesStatements, parseMessage } from './statement-frames.ts'

export interface Statement {
  /** Random to outsiders, so that nobody can prepare one of ours in SQL. */
  readonly serverName: string
  /** The whole Parse message under that name; empty: too long to be kept. */
  readonly parse: Buffer
  /** It may close statements when it runs. */
  readonly closes: boolean
}

interface Entry extends Statement {
  readonly key: string
  references: number
}

/** A name of ours in the text of an error, or one of the client's that looks the same (see `asForeign`). */
export const serverNamePattern = /_?lk_[0-9a-f]{40}/g
const serverNameAlone = /^_?lk_[0-9a-f]{40}$/

/** The client's own name, and none of ours, where it could be taken for one. */
export const looksLikeOurs = (name: string): boolean => serverNameAlone.test(name)
export const asForeign = (name: string): string => `_${name}`
const nameHexDigits = 40
const noText = Buffer.alloc(0)

export class StatementCatalog {
  readonly #secret: Buffer
  readonly #entries = new Map<string, Entry>()
  #scratches = 0

  /** `secret`: random for each process. */
  constructor(secret: Buffer) {
    this.#secret = secret
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * The statement with this text and parameter types (the body of Parse behind its name), as it is
   * understood under these settings; to be given back by `give`.
   */
  take(environment: string, content: Buffer): Statement {
    const key = `${environment}\0${content.toString('latin1')}`
    const known = this.#entries.get(key)
    if (known !== undefined) {
      known.references++
      return known
    }
    const entry: Entry = { ...this.#make(key, content), key, references: 1 }
    this.#entries.set(key, entry)
    return entry
  }

  /** A statement whose text is not kept: it is on one server only, under this name. */
  takeNamed(serverName: string): Statement {
    const entry: Entry = {
      serverName,
      parse: noText,
      closes: false,
      key: serverName,
      references: 1,
    }
    this.#entries.set(serverName, entry)
    return entry
  }

  give(statement: Statement): void {
    const entry = statement as Entry
    if (--entry.references === 0) this.#entries.delete(entry.key)
  }

  /** For a statement that is closed right behind its Parse. */
  scratchName(): string {
    return this.#nameOf(`scratch\0${++this.#scratches}`)
  }

  #make(key: string, content: Buffer): Statement {
    const serverName = this.#nameOf(key)
    const closes = closesStatements(content, 0)
    return { serverName, parse: parseMessage(serverName, content), closes }
  }

  #nameOf(key: string): string {
    const digest = createHmac('sha256', this.#secret).update(key, 'latin1').digest('hex')
    return `lk_${digest.slice(0, nameHexDigits)}`
  }
}

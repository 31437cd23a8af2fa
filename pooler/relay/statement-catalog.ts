// Prepared statements of one pool by content: equal ones are one object with one server-side name,
// whatever the clients call them. An entry lives as long as a client has a name for it.
import { createHmac } from 'node:crypto'
import { frontend } from '../../shared/protocol/message-types.ts'
import { MessageWriter } from '../../shared/protocol/message-writer.ts'

export interface Statement {
  /** Random to outsiders, so that nobody can prepare one of ours in SQL. */
  readonly serverName: string
  /** The whole Parse message under that name. */
  readonly parse: Buffer
}

interface Entry extends Statement {
  readonly key: string
  references: number
}

/** What a name of ours looks like in the text of an error. */
export const serverNamePattern = /lk_[0-9a-f]{40}/g
const nameHexDigits = 40
const noText = Buffer.alloc(0)

export class StatementCatalog {
  readonly #secret: Buffer
  readonly #entries = new Map<string, Entry>()
  #unshared = 0

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
    const entry: Entry = { serverName, parse: noText, key: serverName, references: 1 }
    this.#entries.set(serverName, entry)
    return entry
  }

  /** A statement that is shared with nobody, under a name that no server has. */
  takeAlone(content: Buffer): Statement {
    const key = `alone\0${++this.#unshared}`
    const entry: Entry = { ...this.#make(key, content), key, references: 1 }
    this.#entries.set(key, entry)
    return entry
  }

  give(statement: Statement): void {
    const entry = statement as Entry
    if (--entry.references === 0) this.#entries.delete(entry.key)
  }

  #make(key: string, content: Buffer): Statement {
    const digest = createHmac('sha256', this.#secret).update(key, 'latin1').digest('hex')
    const serverName = `lk_${digest.slice(0, nameHexDigits)}`
    const parse = new MessageWriter()
      .begin(frontend.parse)
      .cstring(serverName)
      .bytes(content)
      .end()
      .take()
    return { serverName, parse }
  }
}

// Clients that use, name, drop and re-make prepared statements at random, by protocol and in SQL, while
// the table that they share changes under them. Each knows what its own names stand for, and so what
// it must be told. Oracle of what must hold behind a pooler, whoever else is on the same servers.
import { eventually } from './eventually.ts'
import type { RawClient } from './raw-client.ts'
import * as raw from './raw-messages.ts'
import { errorFields, rowsOf } from './raw-replies.ts'
import type { SeededRandom } from './seeded-random.ts'

export const fleetTable = 'create table wide as select 1 as c1'

/** Columns of the table that all share: as changed, and as may have been changed by now. */
export interface FleetTable {
  confirmed: number
  started: number
}

interface Name {
  readonly text: string
  /** Its one row; null: that of the table. */
  readonly value: string | null
  /** The client was told its columns. */
  isTold: boolean
}

interface Reply {
  readonly rows: (string | null)[][]
  readonly sqlState: string | null
}

const wideText = 'select * from wide'
const namesCount = 4

export class FleetClient {
  readonly #client: RawClient
  readonly #tag: string
  readonly #random: SeededRandom
  readonly #table: FleetTable
  readonly #names = new Map<string, Name>()
  #isInBlock = false
  #steps = 0
  #notified = 0
  /** Uses of the changed table, and those of them that were an error. */
  uses = 0
  errors = 0

  constructor(client: RawClient, tag: string, random: SeededRandom, table: FleetTable) {
    this.#client = client
    this.#tag = tag
    this.#random = random
    this.#table = table
  }

  async run(steps: number): Promise<void> {
    for (; this.#steps < steps; this.#steps++) {
      const kind = this.#random.weighted({
        use: 12,
        useTwo: 3,
        parse: 6,
        execute: 4,
        deallocate: 2,
        close: 2,
        deallocateAll: 1,
        block: 3,
        alter: this.#isInBlock ? 0 : 2,
        notify: this.#isInBlock ? 0 : 1,
      })
      try {
        await this.#act(kind)
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        throw new Error(`${this.#tag}, step ${this.#steps}, ${kind}: ${text}`, { cause: error })
      }
    }
    // Others wait for its server and its locks.
    if (this.#isInBlock) await this.#block()
    const told = () => this.#client.received.filter(({ type }) => type === 'A').length
    await eventually(() => told() === this.#notified)
  }

  #act(kind: string): Promise<void> {
    const name = `n${this.#random.int(namesCount)}`
    switch (kind) {
      case 'use':
        return this.#use(name)
      case 'useTwo':
        return this.#useTwo(name, `n${this.#random.int(namesCount)}`)
      case 'parse':
        return this.#parse(name)
      case 'execute':
        return this.#execute(name)
      case 'deallocate':
        return this.#drop(name, '26000', raw.query(`deallocate ${name}`))
      case 'close':
        return this.#drop(name, null, raw.closeMessage('statement', name), raw.sync())
      case 'deallocateAll':
        return this.#dropAll()
      case 'block':
        return this.#block()
      case 'alter':
        return this.#alter()
      default:
        return this.#notify()
    }
  }

  async #parse(name: string): Promise<void> {
    const isWide = this.#random.chance(0.5)
    const value = isWide ? null : `${this.#tag}.${this.#random.int(3)}`
    const text = value === null ? wideText : `select '${value}'`
    const { sqlState } = await this.#say(raw.parse(name, text), raw.sync())
    if (this.#names.has(name)) this.#expect(sqlState, '42P05')
    else {
      this.#expect(sqlState, null)
      this.#names.set(name, { text, value, isTold: false })
    }
  }

  async #use(name: string): Promise<void> {
    const isDescribed = this.#random.chance(0.5)
    const wasTold = this.#names.get(name)?.isTold === true
    const asks = isDescribed ? [raw.describeMessage('portal')] : []
    const messages = [raw.bind({ statement: name }), ...asks, raw.execute()]
    const isCovered = !this.#isInBlock && (isDescribed || !wasTold)
    await this.#check([name], isCovered, ...messages, raw.sync())
    if (isDescribed) this.#tell(name)
  }

  async #useTwo(first: string, second: string): Promise<void> {
    const names = [first, second]
    const messages = names.flatMap((statement) => [raw.bind({ statement }), raw.execute()])
    await this.#check(names, false, ...messages, raw.sync())
  }

  #execute(name: string): Promise<void> {
    return this.#check([name], false, raw.query(`execute ${name}`))
  }

  /** `isCovered`: a table that has changed is no excuse for an error. */
  async #check(names: string[], isCovered: boolean, ...messages: Buffer[]): Promise<void> {
    const { confirmed, started } = this.#table
    const known = names.map((name) => this.#names.get(name) ?? null)
    const { rows, sqlState } = await this.#say(...messages)
    const isMoving = started !== confirmed || started !== this.#table.started
    // Some server may have it as the table was long ago.
    const isChanged = this.#table.started > 1 && known.some((it) => it?.value === null)
    if (isChanged) this.uses++
    if (sqlState === '0A000' && isChanged && (isMoving || !isCovered)) {
      this.errors++
      // The failed statement is made anew for its next use.
      return
    }
    if (known.includes(null)) {
      if (sqlState !== '26000') throw new Error(`told ${sqlState}, not that there is no such name`)
      return
    }
    this.#expect(sqlState, null)
    if (rows.length !== known.length) throw new Error(`${rows.length} rows`)
    for (const [index, it] of known.entries()) {
      const row = rows[index] ?? []
      if (it === null) continue
      if (it.value !== null) {
        if (row[0] !== it.value) throw new Error(`the row ${row[0]}, not ${it.value}`)
      } else if (row.length < confirmed || row.length > this.#table.started) {
        throw new Error(`${row.length} columns of ${confirmed} to ${this.#table.started}`)
      }
    }
  }

  async #drop(name: string, ifUnknown: string | null, ...messages: Buffer[]): Promise<void> {
    const { sqlState } = await this.#say(...messages)
    this.#expect(sqlState, this.#names.delete(name) ? null : ifUnknown)
  }

  async #dropAll(): Promise<void> {
    this.#expect((await this.#say(raw.query('deallocate all'))).sqlState, null)
    this.#names.clear()
  }

  async #block(): Promise<void> {
    const isBegin = !this.#isInBlock
    const sql = isBegin ? 'begin' : this.#random.pick(['commit', 'rollback'])
    this.#expect((await this.#say(raw.query(sql))).sqlState, null)
    this.#isInBlock = isBegin
  }

  async #alter(): Promise<void> {
    const column = `c${++this.#table.started}`
    const { sqlState } = await this.#say(raw.query(`alter table wide add ${column} int`))
    this.#expect(sqlState, null)
    this.#table.confirmed++
  }

  async #notify(): Promise<void> {
    const channel = `of_${this.#tag}`
    const replies = await this.#say(raw.query(`listen ${channel}`), raw.query(`notify ${channel}`))
    this.#expect(replies.sqlState, null)
    this.#notified++
  }

  /** Sends, reads to the end, and leaves a failed block. */
  async #say(...messages: Buffer[]): Promise<Reply> {
    await this.#client.send(Buffer.concat(messages))
    const letters = messages.map((message) => message.toString('latin1', 0, 1))
    const readies = letters.filter((letter) => letter === 'Q' || letter === 'S').length
    const replies = await this.#client.untilReadies(readies)
    const error = replies.find(({ type }) => type === 'E')
    const sqlState = error === undefined ? null : (errorFields(error.body).C ?? '')
    if (sqlState !== null && this.#isInBlock) {
      this.#isInBlock = false
      await this.#client.query('rollback')
      await this.#client.untilReady()
    }
    return { rows: rowsOf(replies), sqlState }
  }

  #tell(name: string): void {
    const it = this.#names.get(name)
    if (it !== undefined) it.isTold = true
  }

  #expect(sqlState: string | null, wanted: string | null): void {
    if (sqlState !== wanted) throw new Error(`told ${sqlState}, not ${wanted}`)
  }
}

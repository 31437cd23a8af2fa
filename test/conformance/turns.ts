// What scripts of conversations are made of.
import * as raw from '../support/raw-messages.ts'

export interface Turn {
  readonly bytes: Buffer
  /** So many ReadyForQuery; a letter: up to a message of this type; `end`: to the end of the stream. */
  readonly until: number | 'G' | 'E' | 'n' | 's' | 'T' | '2' | 'C' | 'end'
}

export const turn = (until: Turn['until'], ...messages: Buffer[]): Turn => ({
  bytes: Buffer.concat(messages),
  until,
})
export const query = (sql: string | Buffer): Turn => turn(1, raw.query(sql))

export const batch = (sql: string, values: readonly (string | null)[] = [], rowsMax = 0): Buffer =>
  Buffer.concat([
    raw.parse('', sql),
    raw.bind({ values }),
    raw.describeMessage('portal'),
    raw.execute('', rowsMax),
  ])

/** Every byte that there is. */
export const binary = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

/** What is copied to: a transaction, so that the temporary table stays, and its server with it. */
export const table = query('create temp table kit (tag text, n int); begin')

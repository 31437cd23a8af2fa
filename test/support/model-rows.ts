// What the model's statements answer: their rows, and the errors that come before or behind them.

import { ModelError, type Statement } from './model-statements.ts'
import type { ModelTransaction } from './model-transaction.ts'

export function invalidInteger(text: string): ModelError {
  return new ModelError('22P02', `invalid input syntax for type integer: "${text}"`)
}

/** Errors that Postgres finds before a statement runs. */
export function analyse(statement: Statement): void {
  if (statement.kind === 'unknownColumn') {
    throw new ModelError('42703', `column "${statement.tag}" does not exist`)
  }
}

export const countedRows = (tag: string | null, count: number): (string | null)[][] =>
  Array.from({ length: count }, (_, index) => [tag, String(index + 1)])

/** All rows of a statement, and what it fails with behind them. */
export function rowsFor(
  statement: Statement,
  values: readonly (string | null)[],
  transaction: ModelTransaction,
): { rows: readonly (readonly (string | null)[])[]; failure: ModelError | null } {
  switch (statement.kind) {
    case 'rows':
      return {
        rows: countedRows(statement.tag ?? values[0] ?? null, statement.count),
        failure: null,
      }
    case 'lateError': {
      const rows = countedRows(null, statement.goodRows).map(([, number = null]) => [number])
      return { rows, failure: invalidInteger(statement.tag) }
    }
    case 'sleep':
      return { rows: [[statement.tag, '']], failure: null }
    case 'show':
      return { rows: [[transaction.setting(statement.name)]], failure: null }
    case 'setConfig': {
      const [name, value] = values
      if (name == null) throw new ModelError('22004', 'SET requires parameter name')
      transaction.set(name.toLowerCase(), value ?? null, statement.isLocal)
      return { rows: [[transaction.setting(name.toLowerCase())]], failure: null }
    }
    case 'answer':
      return { rows: statement.rows, failure: null }
    default:
      return { rows: [], failure: null }
  }
}

export const rowsTag = (statement: Statement, count: number): string =>
  statement.kind === 'answer' ? statement.commandTag : `SELECT ${count}`

// The small part of SQL that the model server understands. Each text is also good SQL, so that the
// same pipelines run on a real Postgres (which needs the table of `modelTable`). A tag in a text
// comes back in rows, errors and notices, so that a reply tells whose it is.

export const modelTable = 'create table kit (tag text, n int)'

/** Builders of every text that the model understands. Tags are letters, digits and dots. */
export const sql = {
  begin: () => 'begin',
  commit: () => 'commit',
  rollback: () => 'rollback',
  commitAndChain: () => 'commit and chain',
  rollbackAndChain: () => 'rollback and chain',
  savepoint: (name: string) => `savepoint ${name}`,
  rollbackTo: (name: string) => `rollback to ${name}`,
  release: (name: string) => `release ${name}`,
  rows: (tag: string, count: number) =>
    `select '${tag}' as tag, n from generate_series(1, ${count}) n`,
  /** Takes the tag as its one parameter. */
  boundRows: (count: number) => `select $1::text as tag, n from generate_series(1, ${count}) n`,
  /** An error when the text is analysed. */
  unknownColumn: (tag: string) => `select "${tag}"`,
  /** An error when the text is read. */
  syntaxError: (tag: string) => `selec '${tag}'`,
  /** An error behind `goodRows` rows. */
  lateError: (tag: string, goodRows: number) =>
    `select (case when n <= ${goodRows} then n::text else '${tag}' end)::int as n from generate_series(1, 9) n`,
  sleep: (tag: string, seconds: number) => `select '${tag}' as tag, pg_sleep(${seconds})`,
  insert: (tag: string) => `insert into kit values ('${tag}', 1)`,
  notice: (tag: string) => `do $$begin raise notice '${tag}'; end$$`,
  copyIn: () => 'copy kit from stdin',
  copyOut: (tag: string, count: number) => `copy (${sql.rows(tag, count)}) to stdout`,
  set: (name: string, value: string) => `set ${name} to '${value}'`,
  setLocal: (name: string, value: string) => `set local ${name} to '${value}'`,
  reset: (name: string) => `reset ${name}`,
  show: (name: string) => `select current_setting('${name}', true) as value`,
  /** Takes name and value as its two parameters. */
  setConfig: () => 'select set_config($1, $2, false)',
  discardAll: () => 'discard all',
}

export type TransactionVerb =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'commit and chain'
  | 'rollback and chain'
  | 'savepoint'
  | 'rollback to'
  | 'release'

export type Statement =
  | { readonly kind: 'transaction'; readonly verb: TransactionVerb; readonly name: string }
  | { readonly kind: 'rows'; readonly tag: string | null; readonly count: number }
  | { readonly kind: 'unknownColumn'; readonly tag: string }
  | { readonly kind: 'lateError'; readonly tag: string; readonly goodRows: number }
  | { readonly kind: 'sleep'; readonly tag: string; readonly ms: number }
  | { readonly kind: 'insert' }
  | { readonly kind: 'notice'; readonly tag: string }
  | { readonly kind: 'copyIn' }
  | { readonly kind: 'copyOut'; readonly tag: string; readonly count: number }
  | {
      readonly kind: 'set'
      readonly name: string
      readonly value: string | null
      readonly isLocal: boolean
    }
  | { readonly kind: 'show'; readonly name: string }
  | { readonly kind: 'setConfig'; readonly isLocal: boolean }
  | { readonly kind: 'discardAll' }
  | AnswerStatement

/** An answer given by the test, for texts of the code under test that the model does not know. */
export interface AnswerStatement {
  readonly kind: 'answer'
  readonly parameters: number
  /** null: no row description, only the tag. */
  readonly columns: readonly string[] | null
  readonly rows: readonly (readonly (string | null)[])[]
  readonly commandTag: string
}

/** Understands texts beyond the model's own; null: a syntax error. */
export type StatementReader = (text: string) => Statement | null

/** What an error of the model says; `ModelSession` turns it into an ErrorResponse. */
export class ModelError extends Error {
  override readonly name = 'ModelError'
  readonly sqlState: string
  readonly severity: 'ERROR' | 'FATAL'

  constructor(sqlState: string, text: string, severity: 'ERROR' | 'FATAL' = 'ERROR') {
    super(text)
    this.sqlState = sqlState
    this.severity = severity
  }
}

/** Statements of one query text; none for an empty one. Throws a syntax error as Postgres does. */
export function readStatements(text: string, readOther: StatementReader = () => null): Statement[] {
  return splitStatements(text).map((part) => {
    const statement = readStatement(part) ?? readOther(part)
    if (statement !== null) return statement
    throw new ModelError('42601', `syntax error at or near "${part.split(/\s/)[0]}"`)
  })
}

/** Cuts at semicolons outside of quotes; comments and empty parts go. */
function splitStatements(text: string): string[] {
  const parts = text
    .replace(/--[^\n]*|\/\*.*?\*\//gs, ' ')
    .match(/(?:'[^']*'|"[^"]*"|\$\$.*?\$\$|[^;])+/gs)
  return (parts ?? []).map((part) => part.trim()).filter((part) => part !== '')
}

const verbs =
  /^(begin|commit and chain|rollback and chain|commit|rollback to|rollback|savepoint|release)(?: (\w+))?$/i

const readers: readonly [RegExp, (groups: string[]) => Statement][] = [
  [
    verbs,
    ([verb = '', name = '']) => ({
      kind: 'transaction',
      verb: verb.toLowerCase() as TransactionVerb,
      name,
    }),
  ],
  [
    /^select '([\w.]+)' as tag, n from generate_series\(1, (\d+)\) n$/i,
    ([tag = '', count]) => ({ kind: 'rows', tag, count: Number(count) }),
  ],
  [
    /^select \$1::text as tag, n from generate_series\(1, (\d+)\) n$/i,
    ([count]) => ({ kind: 'rows', tag: null, count: Number(count) }),
  ],
  [/^select "([\w.]+)"$/i, ([tag = '']) => ({ kind: 'unknownColumn', tag })],
  [
    /^select \(case when n <= (\d+) then n::text else '([\w.]+)' end\)::int as n from generate_series\(1, 9\) n$/i,
    ([goodRows, tag = '']) => ({ kind: 'lateError', tag, goodRows: Number(goodRows) }),
  ],
  [
    /^select '([\w.]+)' as tag, pg_sleep\(([\d.]+)\)$/i,
    ([tag = '', seconds]) => ({ kind: 'sleep', tag, ms: Number(seconds) * 1000 }),
  ],
  [/^insert into kit values \('[\w.]+', 1\)$/i, () => ({ kind: 'insert' })],
  [/^do \$\$begin raise notice '([\w.]+)'; end\$\$$/i, ([tag = '']) => ({ kind: 'notice', tag })],
  [/^copy kit from stdin$/i, () => ({ kind: 'copyIn' })],
  [
    /^copy \(select '([\w.]+)' as tag, n from generate_series\(1, (\d+)\) n\) to stdout$/i,
    ([tag = '', count]) => ({ kind: 'copyOut', tag, count: Number(count) }),
  ],
  [
    /^set (local )?([\w.]+) to '([^']*)'$/i,
    ([local = '', name = '', value = '']) => ({
      kind: 'set',
      name: name.toLowerCase(),
      value,
      isLocal: local !== '',
    }),
  ],
  [
    /^reset ([\w.]+)$/i,
    ([name = '']) => ({ kind: 'set', name: name.toLowerCase(), value: null, isLocal: false }),
  ],
  [
    /^select current_setting\('([\w.]+)', true\) as value$/i,
    ([name = '']) => ({ kind: 'show', name: name.toLowerCase() }),
  ],
  [
    /^select (?:pg_catalog\.)?set_config\(\$1, ?\$2, ?(true|false)\)$/i,
    ([local]) => ({ kind: 'setConfig', isLocal: local?.toLowerCase() === 'true' }),
  ],
  [/^discard all$/i, () => ({ kind: 'discardAll' })],
]

function readStatement(text: string): Statement | null {
  const plain = text.replace(/\s+/g, ' ')
  for (const [pattern, read] of readers) {
    const match = pattern.exec(plain)
    if (match !== null) return read(match.slice(1).map((group) => group ?? ''))
  }
  return null
}

/** Columns of the rows that a statement gives; null for one without rows. */
export function columnsOf(statement: Statement | null): readonly string[] | null {
  switch (statement?.kind) {
    case 'rows':
      return ['tag', 'n']
    case 'sleep':
      return ['tag', 'pg_sleep']
    case 'lateError':
      return ['n']
    case 'show':
      return ['value']
    case 'setConfig':
      return ['set_config']
    case 'answer':
      return statement.columns
    default:
      return null
  }
}

export function parameterCount(statement: Statement | null): number {
  if (statement?.kind === 'answer') return statement.parameters
  if (statement?.kind === 'setConfig') return 2
  return statement?.kind === 'rows' && statement.tag === null ? 1 : 0
}

/** COMMIT, ROLLBACK and ROLLBACK TO run in a failed transaction as well. */
export function isExitStatement(statement: Statement | null): boolean {
  return (
    statement?.kind === 'transaction' &&
    ['commit', 'rollback', 'commit and chain', 'rollback and chain', 'rollback to'].includes(
      statement.verb,
    )
  )
}

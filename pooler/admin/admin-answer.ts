// What a console command answers: a table, or a tag alone.

export type CellType = 'text' | 'int4' | 'int8'
export type Cell = string | number | null

export interface Column {
  readonly name: string
  readonly type: CellType
}

export interface AdminAnswer {
  readonly rows: readonly (readonly Cell[])[]
  /** What the operator should know of the rows; null: nothing. */
  readonly notice: string | null
  /** Of CommandComplete. */
  readonly tag: string
}

/** A command that has been understood and may be carried out. */
export interface AdminCommand {
  /** null: it answers no rows. */
  readonly columns: readonly Column[] | null
  /** Throws PoolerError. `isGone` tells that nobody waits for the answer any more. */
  run(isGone: () => boolean): Promise<AdminAnswer> | AdminAnswer
}

/** Columns by `name`, `name:int4` or `name:int8`, separated by spaces. */
export function columnsOf(text: string): readonly Column[] {
  return text.split(/\s+/).map((part) => {
    const [name = '', type = 'text'] = part.split(':')
    return { name, type: type as CellType }
  })
}

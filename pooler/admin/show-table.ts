import type { Cell, Column } from './admin-answer.ts'
import type { AdminView, AllFacts, FactName } from './admin-view.ts'

/** One table of SHOW. */
export interface ShowTable {
  /** What it tells, for SHOW HELP. */
  readonly help: string
  readonly columns: readonly Column[]
  /** What is read for it. */
  readonly needs: readonly FactName[]
  rows(facts: AllFacts, view: Pick<AdminView, 'version' | 'settings'>): readonly (readonly Cell[])[]
}

/** As PgBouncer writes a moment. */
export function momentText(wallMs: number | null): string | null {
  if (wallMs === null) return null
  return `${new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

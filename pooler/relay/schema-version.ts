// Counts what may have changed the meaning of names in texts of SQL, in one database: tables, types,
// functions. Postgres settles it at Parse; who parses a text again behind a change gets a statement anew, see
// statement-catalog.ts.

export class SchemaVersion {
  value = 0
  readonly #tellOthers: () => void

  /** `tellOthers`: the other processes that have servers of the database. */
  constructor(tellOthers: () => void = () => {}) {
    this.#tellOthers = tellOthers
  }

  /** A server of this process has changed it, or the change of one has been committed. */
  onChanged(): void {
    this.value++
    this.#tellOthers()
  }

  onChangedElsewhere(): void {
    this.value++
  }
}

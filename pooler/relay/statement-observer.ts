/** Follows messages that change which prepared statements there are. Told in the order they were sent. */
export interface StatementObserver {
  /** The oldest message noted has succeeded. */
  onNotedDone(): void
  /** The oldest message noted was skipped because of an error; `isCause`: it was the error. */
  onNotedLapsed(isCause: boolean): void
  /** Messages of ours go to the server, and use the unnamed statement. */
  onOwnSent(): void
  readonly shapes: ShapeObserver
}

/** Reads the answers to those Describes that are noted. The bytes are valid during the call. */
export interface ShapeObserver {
  /** The body of a ParameterDescription. */
  onParameters(bytes: Buffer, at: number, end: number): void
  /** The body of the RowDescription or NoData, behind onNotedDone. */
  onColumns(bytes: Buffer, at: number, end: number): void
}

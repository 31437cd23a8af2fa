/** Follows messages that change which prepared statements there are. Told in the order they were sent. */
export interface StatementObserver {
  /** The oldest message noted has succeeded. */
  onNotedDone(): void
  /** The oldest message noted was skipped because of an error; `isCause`: it was the error. */
  onNotedLapsed(isCause: boolean): void
  /** Messages of ours go to the server, and use the unnamed statement. */
  onOwnSent(): void
}

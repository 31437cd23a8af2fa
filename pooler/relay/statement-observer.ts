import type { PostgresError } from '../../shared/protocol/error-response.ts'
import type { ReplyTracker } from './reply-tracker.ts'

/** Follows messages that change which prepared statements there are. Told in the order they were sent. */
export interface StatementObserver {
  /** The oldest message noted has succeeded. */
  onNotedDone(): void
  /** The oldest message noted was skipped because of an error; `isCause`: it was the error. */
  onNotedLapsed(isCause: boolean): void
  /** Messages of ours go to the server, and use the unnamed statement. */
  onOwnSent(): void
  readonly shapes: ShapeObserver
  readonly unnamed: ErrorObserver
}

/** Reads errors to messages of the client's. */
export interface ErrorObserver {
  /** Behind onNotedLapsed; of a Query in front of the ReadyForQuery that ends it. */
  onError(error: PostgresError, tracker: ReplyTracker): void
}

/** Reads the answers to those Describes that are noted. The bytes are valid during the call. */
export interface ShapeObserver {
  /** The body of a ParameterDescription. */
  onParameters(bytes: Buffer, at: number, end: number): void
  /** The body of the RowDescription or NoData, behind onNotedDone. */
  onColumns(bytes: Buffer, at: number, end: number): void
}

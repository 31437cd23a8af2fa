// What a reply tracker's entries are made of: one kind, and what is special about the message.
import { frontend, status } from '../../shared/protocol/message-types.ts'

export const query = 1
export const functionCall = 2
export const sync = 3
export const parse = 4
export const bind = 5
export const close = 6
export const describe = 7
export const execute = 8
export const copyEnd = 9
export const kindMask = 15
/** Set on entries of messages that we put in ourselves: their replies are not the client's. */
export const own = 16
/** Set on entries that were sent while a batch waited for its Sync. */
export const inBatch = 32
/** As own, but an error is the client's: what we put in front is part of what it asked for. */
export const quiet = 64
/** Never sent: the reply is ours to make when its turn comes. */
export const fake = 128
/** The observer is told what becomes of it. */
export const noted = 256

export const isStatus = (byte: number): boolean =>
  byte === status.idle || byte === status.inTransaction || byte === status.failed

export const isExtended = (kind: number): boolean => kind >= parse && kind <= execute

/** Of Parse, Bind, Describe, Execute and Close. */
export function extendedKindOf(type: number): number {
  if (type === frontend.parse) return parse
  if (type === frontend.bind) return bind
  if (type === frontend.execute) return execute
  return type === frontend.describe ? describe : close
}

/** It is answered by a ReadyForQuery. */
export const owesReady = (kind: number): boolean =>
  kind === query || kind === functionCall || kind === sync

/** Entries above which the relay stops reading the client until the server has caught up. */
export const owedHighWater = 32_768

/** Types of messages that may be answered by us, that we put in, that the observer is told of. */
export type StatementType = typeof frontend.parse | typeof frontend.close
type UseType = StatementType | typeof frontend.describe | typeof frontend.execute
export type QuietType = UseType | typeof frontend.bind
export type NotedType = UseType | typeof frontend.query

// One exchange of ours with a server that no client holds: reset, rollback, check of life, asking
// for a value. Cold path.
import type { Clock } from '../../shared/clock.ts'
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { readDataRow } from '../relay/data-row.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { mutedSink, type ServerSink } from '../relay/server-sink.ts'

export interface ConversationResult {
  /** Text values of the rows; null is SQL null. */
  readonly rows: readonly (readonly (string | null)[])[]
  /** What the server answered with an error; the others of the batch were skipped. */
  readonly error: PostgresError | null
  /** One for each query at most, and one for the batch; `error` is the first. */
  readonly errors: number
}

/** The server went away, broke the protocol, or did not answer in time: it must be discarded. */
export class ConversationFailed extends Error {
  override readonly name = 'ConversationFailed'
}

/** Rows beyond this are a server's mischief: we ask for single values. */
const rowsMax = 1000

export interface ConversationMessages {
  readonly bytes: Buffer
  /** Simple queries in `bytes`, each with its own ReadyForQuery. */
  readonly queries?: number
  /** Statements of the one extended batch in `bytes`, which ends in Sync; 0: a bare Sync. */
  readonly batch?: number
}

/** Rejects with ConversationFailed only. The server's sink is the caller's to set again. */
export function converse(
  link: ServerLink,
  messages: ConversationMessages,
  timeoutMs: number,
  clock: Clock,
): Promise<ConversationResult> {
  return new Promise((resolve, reject) => {
    const rows: (string | null)[][] = []
    let error: PostgresError | null = null
    let errors = 0
    const timer = clock.after(timeoutMs, () => fail(`no answer in ${timeoutMs} ms`))
    const fail = (reason: string): void => {
      timer.cancel()
      link.handTo(mutedSink)
      reject(new ConversationFailed(reason))
    }
    const sink: ServerSink = {
      ...mutedSink,
      onOwnError: (said) => {
        error ??= said
        errors++
      },
      onOwnRow: (bytes, at, end) => {
        if (rows.length < rowsMax) rows.push(readDataRow(bytes, at, end))
      },
      onServerProgress: () => {
        if (!link.tracker.isSettled) return
        timer.cancel()
        link.handTo(mutedSink)
        resolve({ rows, error, errors })
      },
      onServerBroken: fail,
      onServerFault: (cause) => fail(`a fault of ours: ${String(cause)}`),
      onServerClosed: (fatal, cause) => fail(fatal?.message ?? cause?.message ?? 'closed'),
    }
    link.handTo(sink)
    for (let index = 0; index < (messages.queries ?? 0); index++) link.tracker.sentOwnQuery()
    if (messages.batch !== undefined) link.tracker.sentOwnBatch(messages.batch)
    link.statements.spoilUnnamed()
    link.transport.write(messages.bytes)
  })
}

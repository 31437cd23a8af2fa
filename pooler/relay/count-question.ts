// Copy data with Syncs in them that fail: nobody can tell which of the Syncs came before the error and
// were ignored, so it is not known whether the server skips what comes next or runs it. Before
// anything else goes to it, it is asked: a Sync, and behind it a Parse that always fails. Of the
// ReadyForQuery in front of that error all but one are the client's: for its Syncs, or its failed Query.
//
//   client:  d  S  d(bad)  S │ Parse, held       server:  E │ Z Z E(ours)        n = 1: it runs what comes
//   ours:                    │ S Parse(bad)               E │   Z E(ours)        n = 0: it skips up to a Sync
import { Buffer } from 'node:buffer'
import { sync } from '../../shared/protocol/frontend-messages.ts'
import { frontend, status } from '../../shared/protocol/message-types.ts'
import type { ClientPump } from './client-pump.ts'
import type { ReplyTracker } from './reply-tracker.ts'
import type { ServerLink } from './server-link.ts'
import { parseMessage } from './statement-frames.ts'

/** Never made, and with a name, so that the unnamed one stays as it is. */
const failing = parseMessage(
  'lk_asked',
  Buffer.from('latchkey: how many answers are due\0\0\0', 'latin1'),
)
const question: Buffer = Buffer.concat([sync(), failing])

/** Nothing but copy data to a server that copies; skipped, or counted, by one that has failed. */
const isOfCopy = (type: number): boolean =>
  type === frontend.copyData ||
  type === frontend.copyDone ||
  type === frontend.copyFail ||
  type === frontend.sync ||
  type === frontend.flush

/** Nothing else is due, and no transaction is there that the question would end. */
const isDoubtAlone = (tracker: ReplyTracker): boolean =>
  tracker.doubt.isAny &&
  !tracker.doubt.isAsked &&
  tracker.copyIn.isNone &&
  tracker.owed === 0 &&
  !tracker.isBatchOpen &&
  tracker.status !== status.inTransaction

/** Asks as soon as nothing else is due, so that the server need not wait for the client's next message. */
export function askWhenAlone({ transport, tracker, sink, isCutOff }: ServerLink): void {
  if (isCutOff || sink.isCutOff === true || sink.session === null) return
  if (!isDoubtAlone(tracker)) return
  transport.write(question)
  tracker.doubt.ask()
}

/** True: the message waits, for the answer, or for what is due before it can be asked for. */
export function awaitsCount(message: ClientPump, { transport, tracker }: ServerLink): boolean {
  // What comes behind the question is none of what it asks about.
  if (tracker.doubt.isAsked) return true
  if (!tracker.mustKnowCount) return false
  if (isOfCopy(message.type)) {
    // The rest of a copy that has failed may be all that the client has to say.
    if (!isDoubtAlone(tracker)) return false
  } else {
    const isCopying = tracker.needsClient && tracker.owed > 0
    if (tracker.owed > 0 && !isCopying) return true
    // A transaction that has not failed would.
    if (!isCopying && !tracker.isBatchOpen && tracker.status === status.inTransaction) return false
  }
  message.passSoFar()
  transport.write(question)
  tracker.doubt.ask()
  return true
}

import { flush } from '../../shared/protocol/frontend-messages.ts'
import { frontend } from '../../shared/protocol/message-types.ts'
import type { ServerLink } from './server-link.ts'

const flushMessage: Buffer = flush()

/**
 * A message of the client's waits for what was sent before it. The server may keep those replies: a copy-in has
 * ignored the Sync that would have brought them, and the next one is behind what waits.
 */
export function askForReplies({ tracker, transport }: ServerLink): void {
  if (tracker.owed === 0 || tracker.isReplyDue) return
  transport.write(flushMessage)
  tracker.sent(frontend.flush)
}

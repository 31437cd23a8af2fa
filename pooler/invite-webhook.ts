// Brings links of invitations to whoever mails them, and notes at each invitation whether it arrived.
import type { Clock } from '../shared/clock.ts'
import type { Log } from '../shared/log.ts'
import { invitationsQueuedMax } from './config/limits.ts'
import type { Config } from './config/settings.ts'
import type { InvitationStore } from './store/invitations.ts'
import { SignedPost } from './webhook/signed-post.ts'
import { WebhookQueue } from './webhook/webhook-queue.ts'

/** null where no webhook is set. */
export function newInviteWebhook(
  { inviteWebhookUrl: url, webhookSecret: secret }: Config,
  invitations: Pick<InvitationStore, 'noteDelivery'>,
  clock: Clock,
  log: Log,
): WebhookQueue | null {
  if (url === null || secret === null) return null
  return new WebhookQueue({
    name: 'invitations',
    poster: new SignedPost({ url, secret }, clock),
    messagesMax: invitationsQueuedMax,
    // One that cannot be mailed is one project's, and holds up no other's.
    isOrdered: false,
    clock,
    log,
    // Awaited by the queue when it closes, so that the note is written before the store goes.
    onEnd: ({ id }, end) =>
      invitations
        .noteDelivery(id, end === 'delivered' ? 'delivered' : 'failed')
        .catch((error: unknown) => {
          log.warn({ err: error, invitation: id, end }, 'the end of a delivery was not noted')
        }),
  })
}

/** A link lives in memory until it is delivered: what a stop has lost is told, not kept quiet. */
export async function tellUndelivered(
  invitations: Pick<InvitationStore, 'countUndelivered'>,
  nowMs: number,
  log: Log,
): Promise<void> {
  const count = await invitations.countUndelivered(nowMs)
  if (count === 0) return
  log.warn(
    { count },
    'open invitations whose link may never have arrived: withdraw them (GET …/database/jit/list) and invite again',
  )
}

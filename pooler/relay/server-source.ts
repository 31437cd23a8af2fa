// Where a relay gets servers from and gives them back to. The pool implements it; the relay knows
// no more of pools than this.
import type { PoolerError } from '../../shared/errors.ts'
import type { ClientId } from '../../shared/ids.ts'
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { ServerLink } from './server-link.ts'
import type { WaitingPlace } from './waiting-place.ts'

/** Why a client gets no server: an error of ours, or what Postgres itself said. */
export type Refusal = PoolerError | PostgresError

/** A client that wants a server. */
export interface ServerWaiter {
  readonly clientId: ClientId
  /** The person behind the client, or null for an application; bounds how many servers people hold. */
  readonly person: string | null
  /** Its place where it waits, made by whoever lets it wait first, and kept for its next waits. */
  place?: WaitingPlace | undefined
  onServer(link: ServerLink): void
  onNoServer(refusal: Refusal): void
  /** Takes a NoticeResponse for the client while it waits; null where nobody can be told. */
  readonly asides: { notify(notice: Buffer): void } | null
}

export interface ServerSource {
  /** A server at once, or null: then exactly one of the waiter's methods is called later. */
  checkout(waiter: ServerWaiter): ServerLink | null
  /** The waiter wants nothing any more; neither of its methods is called. */
  withdraw(waiter: ServerWaiter): void
  /** Nothing is owed and no transaction is open. */
  checkin(link: ServerLink): void
  /** Nothing is owed, but a transaction is open: it is rolled back, or the server discarded. */
  rollback(link: ServerLink): void
  /** In the middle of something: what runs is cancelled and the server discarded. */
  abort(link: ServerLink): void
  /** A person's access ended: cancel, roll back, and terminate a server that will not stop. */
  endAccess(link: ServerLink): void
  /** The server is closed or cannot be trusted. */
  discard(link: ServerLink, reason: 'lost' | 'broken'): void
  /** Asks the server to stop what it does for this client; it stays joined. Never rejects. */
  cancel(link: ServerLink): Promise<void>
}

/** What becomes of the server of a client that ends. `isClean`: it is in the middle of nothing. */
export function giveUpServer(
  source: ServerSource,
  server: ServerLink,
  isClean: boolean,
  isAccessEnd: boolean,
): void {
  if (!server.isUsable) source.discard(server, server.brokenBy === null ? 'lost' : 'broken')
  else if (isAccessEnd) source.endAccess(server)
  else if (!isClean) source.abort(server)
  else if (server.tracker.status === status.idle) source.checkin(server)
  else source.rollback(server)
}

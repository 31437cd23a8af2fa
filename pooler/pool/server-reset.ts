// Makes a server as good as new. Two messages, because DISCARD ALL may not run inside a transaction
// and a Query is one transaction. Whoever gets an error here discards the server.
import type { Clock } from '../../shared/clock.ts'
import { query } from '../../shared/protocol/frontend-messages.ts'
import { status } from '../../shared/protocol/message-types.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { converse } from './server-conversation.ts'

const rollback = query('ROLLBACK')
const discardAll = query('DISCARD ALL')
const resetAll = query('RESET ALL')
const idleLimit = 'idle_session_timeout'
const noLimit = '0'
const resetIdleLimit = query(`RESET ${idleLimit}`)
const unlistenAll = query('UNLISTEN *')
const resetSettings = query('RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL')
const rollbackAndDiscard = Buffer.concat([rollback, discardAll])

/** False when a transaction is still open or the server cannot be talked to. */
export async function rollbackServer(
  link: ServerLink,
  timeoutMs: number,
  clock: Clock,
): Promise<boolean> {
  try {
    const { error } = await converse(link, { bytes: rollback, queries: 1 }, timeoutMs, clock)
    return error === null && link.tracker.status === status.idle
  } catch {
    return false
  }
}

/** False when the server's session state could not be thrown away whole. */
export async function resetServer(
  link: ServerLink,
  timeoutMs: number,
  clock: Clock,
): Promise<boolean> {
  const isOpen = link.tracker.status !== status.idle
  const messages = isOpen
    ? { bytes: rollbackAndDiscard, queries: 2 }
    : { bytes: discardAll, queries: 1 }
  try {
    const { error } = await converse(link, messages, timeoutMs, clock)
    if (error !== null || link.tracker.status !== status.idle) return false
  } catch {
    return false
  }
  forgetAll(link)
  return true
}

/**
 * What brings an idle server to the settings that it was opened with, each a Query of its own, before
 * `person` has anything set on it. Counted as done: whoever gets an error to one discards the server.
 */
export function restart(link: ServerLink, person: string | null): readonly Buffer[] {
  const { lastPerson, applied, reported, baseline } = link
  if (lastPerson !== undefined && lastPerson !== person) {
    forgetAll(link)
    return [discardAll]
  }
  const isChanged = [...reported].some(([name, value]) => baseline.get(name) !== value)
  if (lastPerson === undefined && applied.size === 0 && !isChanged) return []
  applied.clear()
  link.profile = null
  return [resetSettings]
}

function forgetAll(link: ServerLink): void {
  link.applied.clear()
  link.statements.clear()
  link.profile = null
  link.startup = null
  link.dirtyBy = null
  link.needsResetAll = false
  link.isListening = false
  link.lastPerson = undefined
}

/** Its client's limit for idle sessions is set on it, and would end it while others count on it. */
export const endsWhenIdle = ({ applied }: ServerLink): boolean =>
  applied.size > 0 && (applied.get(idleLimit) ?? noLimit) !== noLimit

/** Settings and channels only: prepared statements stay. False when it did not work. */
export async function clearServer(
  link: ServerLink,
  timeoutMs: number,
  clock: Clock,
): Promise<boolean> {
  const messages: Buffer[] = []
  const isLimited = endsWhenIdle(link)
  if (link.needsResetAll) messages.push(resetAll)
  else if (isLimited) messages.push(resetIdleLimit)
  if (link.isListening) messages.push(unlistenAll)
  const bytes = Buffer.concat(messages)
  try {
    const { error } = await converse(link, { bytes, queries: messages.length }, timeoutMs, clock)
    if (error !== null) return false
  } catch {
    return false
  }
  if (link.needsResetAll) forgetSettings(link)
  // The client that has set it gets it again with its next transaction.
  else if (isLimited && link.applied.delete(idleLimit)) link.profile = null
  link.isListening = false
  return true
}

function forgetSettings(link: ServerLink): void {
  // RESET ALL leaves these two, as Postgres' manual says; whoever had set them is known.
  for (const name of link.applied.keys()) {
    if (name !== 'role' && name !== 'session_authorization') link.applied.delete(name)
  }
  link.profile = null
  link.needsResetAll = false
}

/** False when a server that has been idle for long does not answer a Sync any more. */
export async function isAlive(link: ServerLink, timeoutMs: number, clock: Clock): Promise<boolean> {
  try {
    await converse(link, { bytes: bareSync, batch: 0 }, timeoutMs, clock)
    return true
  } catch {
    return false
  }
}

const bareSync = Buffer.from([0x53, 0, 0, 0, 4])

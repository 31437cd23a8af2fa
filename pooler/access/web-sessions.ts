// Whose is the cookie of a browser. A session of the dashboard is a token that the browser does not
// hold: what it may, and until when, is the token's at each use. It ends by itself after half an hour
// without a use, after twelve hours, and with its token.
import type { Clock } from '../../shared/clock.ts'
import type { Secret } from '../../shared/secret.ts'
import type { WebSessionStore } from '../store/web-sessions.ts'
import type { BearerOwner, Bearers } from './bearers.ts'
import { tokenFault } from './decide-access.ts'

export interface WebSessionsOptions {
  readonly store: Pick<WebSessionStore, 'open' | 'find' | 'noteUse' | 'remove'>
  readonly bearers: Pick<Bearers, 'ownerOf'>
  readonly clock: Clock
}

export interface OpenedWebSession {
  /** The cookie's value. */
  readonly id: Secret<string>
  readonly endsAtMs: number
}

const minuteMs = 60_000
const idleMsMax = 30 * minuteMs
const lengthMsMax = 12 * 60 * minuteMs
/** A use is written when the last one written is so old: half an hour need not be exact to the second. */
const useAgeMs = minuteMs

export class WebSessions {
  readonly #options: WebSessionsOptions

  constructor(options: WebSessionsOptions) {
    this.#options = options
  }

  /** For whom a token was just found good. */
  async open({ bearer, member, token }: BearerOwner): Promise<OpenedWebSession> {
    const nowMs = this.#options.clock.wallMs()
    const longest = nowMs + lengthMsMax
    const endsAtMs = Math.min(longest, token.expiresAtMs ?? longest)
    const { userId } = member
    const id = await this.#options.store.open({ userId, bearer, nowMs, endsAtMs })
    return { id, endsAtMs }
  }

  /**
   * null: nobody's, or over. Rejects when it cannot be found out. What the page does by itself is no
   * use: a tab that is left open does not keep its session.
   */
  async find(id: Secret<string>, { isUse }: { isUse: boolean }): Promise<BearerOwner | null> {
    const { store, bearers, clock } = this.#options
    const session = await store.find(id)
    if (session === null) return null
    const nowMs = clock.wallMs()
    const isOver = nowMs >= session.endsAtMs || nowMs - session.lastUsedAtMs >= idleMsMax
    const owner = isOver ? null : await bearers.ownerOf(session.bearer)
    if (owner === null || tokenFault(owner.token, nowMs) !== null) {
      await store.remove(id)
      return null
    }
    if (isUse && nowMs - session.lastUsedAtMs >= useAgeMs) await store.noteUse(id, nowMs)
    return owner
  }

  async close(id: Secret<string>): Promise<void> {
    await this.#options.store.remove(id)
  }
}

// The people who are in right now, in this process, each with what their access rests on. A session
// stands here before it is judged, so that no change falls between. Ending them: access-ender.ts.
import type { Clock } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import { liveSessionsMax } from '../config/limits.ts'
import type { Change } from '../store/change-feed.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { KeptBearer } from './bearer.ts'
import { rulesRefOf } from './decide-access.ts'
import type { AllowedAccess, Person } from './token-access.ts'

export interface SessionEntry {
  readonly sessionId: string
  readonly tenant: Pick<Tenant, 'ref' | 'parentRef'>
  readonly role: string
  readonly address: string
  readonly applicationName: string | null
  /** Called once at most, from a timer or a change, at any moment from `bind` to `leave`. */
  end(reason: string): void
  /** Called some minutes before the end. */
  warn?(endsAtMs: number): void
}

/** What a bound session rests on; replaced whole when it is judged anew. */
export interface Foundation extends Person {
  readonly bearer: KeptBearer
  readonly endsAtMs: number | null
  readonly endsBy: 'rule' | 'token'
  /** The doubts that the answer has taken in. */
  readonly doubtsSettled: number
}

/**
 *   judging ── bind ──> live ── ender ──> ended
 *      └──────── leave ──┴──── leave ───────┴──> gone
 */
export type LiveState = 'judging' | 'live' | 'ended' | 'gone'

export interface LiveSession {
  readonly sessionId: string
  readonly ref: string
  readonly rulesRef: string
  readonly role: string
  readonly address: string
  readonly applicationName: string | null
  readonly startedAtMs: number
  readonly state: LiveState
  /** Grows whenever something that the session may rest on has changed. */
  readonly doubts: number
  /** null while it is judged for the first time. */
  readonly foundation: Foundation | null
}

export interface SessionFollower {
  onBound(session: LiveSession): void
  onLeft(session: LiveSession): void
}

interface Session extends LiveSession {
  state: LiveState
  doubts: number
  foundation: Foundation | null
  /** null once it has left: a set's former tables may keep the session for a while, but not its connection. */
  entry: SessionEntry | null
}

export class LiveSessions {
  readonly #clock: Clock
  readonly #all = new Set<Session>()
  readonly #judging = new Set<Session>()
  /** By the project itself and by the one whose rules hold. */
  readonly #byRef = new SetsByKey<Session>()
  readonly #byUser = new SetsByKey<Session>()
  readonly #byToken = new SetsByKey<Session>()
  readonly #followers: SessionFollower[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#all.size
  }

  /** Before the token is judged. Throws EMAXCONNPROCESS when there are too many. */
  enter(entry: SessionEntry): LiveSession {
    if (this.#all.size >= liveSessionsMax) {
      throw new PoolerError('EMAXCONNPROCESS', { values: { reason: 'too many people are in' } })
    }
    const session: Session = {
      sessionId: entry.sessionId,
      ref: entry.tenant.ref,
      rulesRef: rulesRefOf(entry.tenant),
      role: entry.role,
      address: entry.address,
      applicationName: entry.applicationName,
      startedAtMs: this.#clock.wallMs(),
      state: 'judging',
      doubts: 0,
      foundation: null,
      entry,
    }
    this.#all.add(session)
    this.#judging.add(session)
    this.#byRef.add(session.ref, session)
    this.#byRef.add(session.rulesRef, session)
    return session
  }

  /** Binds the session to the answer it was let in by, at login or when it was judged anew. */
  bind(session: LiveSession, access: AllowedAccess): void {
    const own = this.#own(session)
    if (own === null || own.state === 'ended') return
    this.#unbind(own)
    const { member, token, bearer, endsAtMs, rule } = access
    const endsBy = endsAtMs !== null && endsAtMs === rule.expiresAtMs ? 'rule' : 'token'
    const doubtsSettled = access.doubts
    own.foundation = { member, token, bearer, endsAtMs, endsBy, doubtsSettled }
    own.state = 'live'
    this.#judging.delete(own)
    this.#byUser.add(member.userId, own)
    this.#byToken.add(token.id, own)
    for (const follower of this.#followers) follower.onBound(own)
  }

  /** When its connection is over, however that came. */
  leave(session: LiveSession): void {
    const own = this.#own(session)
    if (own === null) return
    own.state = 'gone'
    own.entry = null
    this.#unbind(own)
    this.#all.delete(own)
    this.#judging.delete(own)
    this.#byRef.delete(own.ref, own)
    this.#byRef.delete(own.rulesRef, own)
    for (const follower of this.#followers) follower.onLeft(own)
  }

  /** Tells the client, whose connection then leaves. Nothing for a session that has ended before. */
  end(session: LiveSession, reason: string): void {
    const own = this.#own(session)
    if (own === null || own.state === 'ended') return
    own.state = 'ended'
    own.entry?.end(reason)
  }

  warn(session: LiveSession, endsAtMs: number): void {
    const own = this.#own(session)
    if (own?.state === 'live') own.entry?.warn?.(endsAtMs)
  }

  /** Casts doubt on all that may rest on what changed, and returns those that were let in before. */
  doubt(change: Change): readonly LiveSession[] {
    const concerned = this.#concernedBy(change)
    for (const session of concerned) session.doubts += 1
    return concerned.filter((session) => session.state === 'live')
  }

  /** Those that end sessions, by time, by change and by an outside word; and who tells other processes. */
  follow(follower: SessionFollower): void {
    this.#followers.push(follower)
  }

  /** The project's own sessions that were let in; those of its branches are the branches'. */
  list(ref: string): readonly LiveSession[] {
    return this.#byRef.of(ref).filter((one) => one.ref === ref && one.state === 'live')
  }

  all(): readonly LiveSession[] {
    return [...this.#all].filter((session) => session.state === 'live')
  }

  find(ref: string, sessionId: string): LiveSession | null {
    return this.#byRef.of(ref).find((one) => one.ref === ref && one.sessionId === sessionId) ?? null
  }

  #concernedBy(change: Change): readonly Session[] {
    switch (change.kind) {
      case 'tenant':
        return this.#byRef.of(change.ref)
      case 'rule':
      case 'membership':
        return this.#byRef.of(change.ref).filter((session) => isOf(session, change.userId))
      // Whose token it is that is being judged is not known yet.
      case 'member':
        return [...this.#judging, ...this.#byUser.of(change.userId)]
      case 'token':
        return [...this.#judging, ...this.#byToken.of(change.id)]
      case 'session-end':
        return []
      case 'reread-all':
        return [...this.#all]
    }
  }

  #unbind(session: Session): void {
    if (session.foundation === null) return
    this.#byUser.delete(session.foundation.member.userId, session)
    this.#byToken.delete(session.foundation.token.id, session)
  }

  #own(session: LiveSession): Session | null {
    return this.#all.has(session as Session) ? (session as Session) : null
  }
}

const isOf = (session: Session, userId: string) =>
  session.foundation === null || session.foundation.member.userId === userId

/** As many sets as there are keys with something in them. */
class SetsByKey<Value> {
  readonly #sets = new Map<string, Set<Value>>()

  add(key: string, value: Value): void {
    const set = this.#sets.get(key)
    if (set === undefined) this.#sets.set(key, new Set([value]))
    else set.add(value)
  }

  delete(key: string, value: Value): void {
    const set = this.#sets.get(key)
    set?.delete(value)
    if (set?.size === 0) this.#sets.delete(key)
  }

  of(key: string): readonly Value[] {
    return [...(this.#sets.get(key) ?? [])]
  }
}

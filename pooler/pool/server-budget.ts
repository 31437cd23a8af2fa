// Servers that several pools have together: a tenant's over all its pools, the process's over all
// tenants. Exact, as each pool's own slots are: one is used from before the attempt to open a server
// until Postgres has closed its end. Where none is left, an idle server of another pool is closed to
// make room; otherwise whoever's client has waited longest comes first, whatever its pool.
import { assert } from '../../shared/assert.ts'
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Budget, BudgetFigures, BudgetMember, Decide, IdleServer } from './budget.ts'

interface Claim {
  readonly member: BudgetMember
  readonly decide: Decide
}

/** A server is not closed for another pool before it has been of use: opening one costs more than it does. */
export const tenureMs = 100
/** Idle for less it is between two transactions: a pool that has servers does not get this one. */
const restMs = 20
/** What a pool that has servers waits longer than another before it gets one of the other's. */
const patienceMs = 100
const patienceFactor = 2

const isForNone = ({ member }: Claim): boolean => member.slots === 0

export class ServerBudget implements Budget {
  /** What an operator knows the limit by. */
  readonly name: string
  readonly #limit: () => number
  readonly #clock: Clock
  readonly #members = new Set<BudgetMember>()
  /** Bounded: pools ask for as many as their clients want, and no more than their size. */
  readonly #claims = new Set<Claim>()
  #used = 0
  /** The limit has been lowered below what is used, as of the last review. */
  #isOver = false
  #review: Timer | null = null

  /** `limit` is read anew whenever something is decided; Infinity: none. */
  constructor(name: string, limit: () => number, clock: Clock) {
    this.name = name
    this.#limit = limit
    this.#clock = clock
  }

  get used(): number {
    return this.#used
  }

  get claims(): number {
    return this.#claims.size
  }

  get limit(): number {
    return this.#limit()
  }

  get figures(): BudgetFigures {
    return { limit: this.#limit(), used: this.#used, wanted: this.#claims.size }
  }

  get isContended(): boolean {
    return this.#claims.size > 0 || this.#isOver
  }

  get shortage(): string | null {
    const limit = this.#limit()
    return this.#used >= limit ? `${this.name}: ${limit}` : null
  }

  get isUnused(): boolean {
    return this.#members.size === 0 && this.#used === 0
  }

  /** True while more has to be closed than is closing, for the claims or for a lowered limit. */
  get isLacking(): boolean {
    return this.isContended && this.#lacking(null) > 0
  }

  /** Monotonic ms since when the first waits of those with claims, `notOf` aside; null: nobody does. */
  oldestClaimMs(notOf: BudgetMember): number | null {
    return this.#first(notOf)?.sinceMs ?? null
  }

  get spare(): number {
    return Math.max(0, this.#limit() - this.#used - this.#claims.size)
  }

  join(member: BudgetMember): void {
    this.#members.add(member)
  }

  withdraw(member: BudgetMember): void {
    for (const claim of this.#claims) if (claim.member === member) this.#settle(claim, false)
  }

  leave(member: BudgetMember): void {
    this.#members.delete(member)
    if (this.#members.size === 0) this.close()
  }

  claim(member: BudgetMember, decide: Decide): void {
    if (this.#claims.size === 0 && this.#used < this.#limit()) {
      this.#used++
      decide(true)
    } else {
      this.#claims.add({ member, decide })
      this.review()
    }
  }

  free(): void {
    assert(this.#used > 0, 'only what was taken is given back')
    this.#used--
    if (this.isContended) this.review()
  }

  review(): void {
    this.#review?.cancel()
    this.#review = null
    const limit = this.#limit()
    let first = this.#first(null)
    while (first !== null && this.#used < limit) {
      this.#used++
      this.#settle(first.claim, true)
      first = this.#first(null)
    }
    this.#isOver = this.#used > limit
    this.#makeRoom(first !== null && isForNone(first.claim))
  }

  isWantedElsewhere(member: BudgetMember, openedAtMs: number, nextSinceMs: number | null): boolean {
    if (!this.isContended) return false
    const first = this.#first(member)
    if (this.#lacking(member) <= 0) return false
    if (this.#isOver) return true
    if (first === null) return false
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - openedAtMs < tenureMs) {
      this.#reviewIn(tenureMs - (nowMs - openedAtMs))
      return false
    }
    const isUrgent = isForNone(first.claim)
    if (nextSinceMs === null) {
      if (!isUrgent) this.#reviewIn(restMs)
      return isUrgent
    }
    if (isUrgent) return first.sinceMs < nextSinceMs
    // Servers move from pool to pool only where one is clearly worse off: each move costs an opening.
    return nowMs - first.sinceMs > patienceFactor * (nowMs - nextSinceMs) + patienceMs
  }

  close(): void {
    this.#review?.cancel()
    this.#review = null
  }

  /** Servers that have to be closed for the claims of all but one, beyond those that are closing. */
  #lacking(except: BudgetMember | null): number {
    let claims = 0
    for (const { member } of this.#claims) if (member !== except) claims++
    let closing = 0
    for (const member of this.#members) closing += member.closing
    return this.#used + claims - this.#limit() - closing
  }

  /** `isUrgent`: who waits longest has no server at all. */
  #makeRoom(isUrgent: boolean): void {
    if (!this.isContended) return
    const nowMs = this.#clock.monotonicMs()
    const idleBeforeMs = isUrgent || this.#isOver ? nowMs : nowMs - restMs
    let lacking = this.#lacking(null)
    while (lacking > 0) {
      const idle = this.#longestIdle(nowMs - tenureMs)
      if (idle === null || idle.idleSinceMs > idleBeforeMs) break
      idle.giveUp()
      lacking--
    }
    if (lacking > 0 && this.#longestIdle(Number.POSITIVE_INFINITY) !== null) {
      this.#reviewIn(this.#longestIdle(nowMs - tenureMs) === null ? tenureMs : restMs)
    }
  }

  #longestIdle(openedBeforeMs: number): IdleServer | null {
    let longest: IdleServer | null = null
    for (const member of this.#members) {
      const idle = member.oldestIdle(openedBeforeMs)
      if (idle !== null && (longest === null || idle.idleSinceMs < longest.idleSinceMs)) {
        longest = idle
      }
    }
    return longest
  }

  /** The claim whose client has waited longest; claims that nobody waits for any more are settled. */
  #first(notOf: BudgetMember | null): { claim: Claim; sinceMs: number } | null {
    let first: { claim: Claim; sinceMs: number } | null = null
    for (const claim of this.#claims) {
      // Those in front will have the servers that are on their way.
      const sinceMs = claim.member.waitingSinceMs(claim.member.opening)
      if (sinceMs === null) this.#settle(claim, false)
      else if (claim.member !== notOf && (first === null || sinceMs < first.sinceMs)) {
        first = { claim, sinceMs }
      }
    }
    return first
  }

  #settle(claim: Claim, isGranted: boolean): void {
    this.#claims.delete(claim)
    claim.decide(isGranted)
  }

  #reviewIn(ms: number): void {
    this.#review ??= this.#clock.after(Math.max(1, Math.ceil(ms)), () => {
      this.#review = null
      this.review()
    })
  }
}

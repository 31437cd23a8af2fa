// A budget that several workers share, as one of them sees it. The permits that this worker holds are
// the limit of a ServerBudget of its own, and what the other workers wish is a claim in that budget
// like those of pools, so that idle servers are given up and busy ones handed over by the same rules
// as within a process. A permit is held from before a server is opened until Postgres has closed its end.
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Budget, BudgetFigures, BudgetMember, Decide } from '../pool/budget.ts'
import { ServerBudget } from '../pool/server-budget.ts'
import type { PermitOrder, PermitReport } from './permit-messages.ts'

export interface RemoteBudgetOptions {
  readonly id: number
  readonly key: string
  /** What an operator knows the limit by. */
  readonly name: string
  /** Over all workers; Infinity: none. */
  readonly limit: () => number
  readonly clock: Clock
  readonly send: (report: PermitReport) => void
}

interface Ask {
  readonly member: BudgetMember
  readonly decide: Decide
  /** Of the report that told of it; 0: none has yet. */
  seq: number
}

/** So often the others are told how long the first of those waits whose claims stay; less than ServerBudget's patience. */
const refreshMs = 50

/**
 * What changes nothing at once is told so much later, and together: where workers want more than there is, claims come
 * and go with every few transactions, and each of them told by itself costs both processes more than those.
 */
const laterMs = 10

export class RemoteBudget implements Budget {
  readonly #options: RemoteBudgetOptions
  readonly #local: ServerBudget
  readonly #others: Others
  /** Claims that the office has not answered, oldest first; bounded as claims of pools are. */
  readonly #asked: Ask[] = []
  #granted = 0
  #given = 0
  /** To be given back as servers become free. */
  #owed = 0
  /** Claims of the others in the budget here, and those granted that are not given back yet. */
  #wished = 0
  #leaving = 0
  #seq = 0
  #seqSeen = 0
  #isReportDue = false
  #later: Timer | null = null
  #refresh: Timer | null = null
  #told: Pick<PermitReport, 'limit' | 'wants' | 'isBusy'> = none

  constructor(options: RemoteBudgetOptions) {
    this.#options = options
    this.#others = new Others(options.clock)
    const limit = (): number => Math.max(0, this.#held - this.#owed)
    this.#local = new ServerBudget(options.name, limit, options.clock)
  }

  get figures(): BudgetFigures {
    const wanted = this.#ownClaims + this.#asked.length
    return { limit: this.#options.limit(), used: this.#local.used, wanted }
  }

  get isContended(): boolean {
    return this.#local.isContended
  }

  get spare(): number {
    if (this.isContended) return 0
    return Math.max(0, this.#options.limit() - this.#local.used - this.#asked.length)
  }

  get shortage(): string | null {
    if (this.#ownClaims === 0) return null
    return `${this.#options.name}: ${this.#options.limit()}, over all processes`
  }

  /** True when nothing is owed to or by the office either, so that it may be forgotten. */
  get isUnused(): boolean {
    const isReportDue = this.#isReportDue || this.#later !== null
    const isSettled = this.#asked.length === 0 && this.#held === 0 && !isReportDue
    return isSettled && this.#local.isUnused && this.#seqSeen === this.#seq
  }

  join(member: BudgetMember): void {
    this.#local.join(member)
  }

  withdraw(member: BudgetMember): void {
    this.#local.withdraw(member)
    for (const ask of this.#asked.splice(0)) {
      if (ask.member === member) ask.decide(false)
      else this.#asked.push(ask)
    }
    this.#reportSoon()
  }

  leave(member: BudgetMember): void {
    this.#local.leave(member)
  }

  claim(member: BudgetMember, decide: Decide): void {
    this.#asked.push({ member, decide, seq: 0 })
    // Where others have asked in vain already, there is nothing that this one could have at once.
    if (this.isContended) this.#reportLater()
    else this.#reportSoon()
  }

  free(): void {
    this.#local.free()
    this.#giveBack()
  }

  review(): void {
    this.#local.review()
    this.#giveBack()
    const { wants, limit } = this.#state()
    if (wants !== this.#told.wants || limit !== this.#told.limit) this.#reportSoon()
  }

  isWantedElsewhere(member: BudgetMember, openedAtMs: number, nextSinceMs: number | null): boolean {
    return this.#local.isWantedElsewhere(member, openedAtMs, nextSinceMs)
  }

  onOrder(order: PermitOrder): void {
    this.#seqSeen = order.seq
    const isMore = order.granted > this.#granted
    this.#granted = order.granted
    // Given back since the office counted: first against what it may demand, then what others wish.
    const onTheWay = this.#given - order.given
    this.#owed = Math.max(0, order.owed - onTheWay)
    const wish = Math.max(0, order.wish - Math.max(0, onTheWay - order.owed))
    this.#others.told(order)
    if (isMore) this.#local.review()
    this.#takeAnswered(order.seq)
    this.#wishFor(wish)
    if (this.#owed > 0) this.#local.review()
    this.#giveBack()
    if (this.#state().isBusy !== this.#told.isBusy) this.#reportLater()
  }

  /** Tells the office that this budget is over. */
  close(): void {
    this.#local.close()
    this.#report(true)
  }

  get #held(): number {
    return this.#granted - this.#given
  }

  get #ownClaims(): number {
    return this.#local.claims - this.#wished
  }

  /** What the office has granted is there to be had; what it has not is in contention from here on. */
  #takeAnswered(seq: number): void {
    for (;;) {
      const [ask] = this.#asked
      if (ask === undefined) return
      const isAnswered = ask.seq !== 0 && ask.seq <= seq
      if (!isAnswered && (this.isContended || this.#local.used >= this.#held)) return
      this.#asked.shift()
      this.#local.claim(ask.member, ask.decide)
    }
  }

  /** Puts as many claims of the others into the budget as they wish permits. */
  #wishFor(count: number): void {
    if (count < this.#wished) this.#local.withdraw(this.#others)
    while (this.#wished < count) {
      this.#wished++
      const before = this.#leaving
      this.#local.claim(this.#others, this.#onWishDecided)
      // One that is granted at once counts as wished no more.
      if (this.#leaving > before) count--
    }
  }

  readonly #onWishDecided = (isGranted: boolean): void => {
    this.#wished--
    if (!isGranted) return
    // Not in the middle of a review, which has read the limit that this lowers.
    if (this.#leaving++ === 0) queueMicrotask(() => this.#letLeave())
  }

  #letLeave(): void {
    while (this.#leaving > 0) {
      this.#leaving--
      this.#given++
      this.#local.free()
    }
    this.#giveBack()
    this.#reportSoon()
  }

  /** What is not used goes back at once: who needs it next is the office's to say. */
  #giveBack(): void {
    if (this.#dropSurplus()) this.#reportSoon()
  }

  #dropSurplus(): boolean {
    const surplus = this.#held - this.#local.used
    if (surplus <= 0) return false
    this.#given += surplus
    this.#owed = Math.max(0, this.#owed - surplus)
    return true
  }

  #reportSoon(): void {
    if (this.#isReportDue) return
    this.#isReportDue = true
    queueMicrotask(() => {
      this.#isReportDue = false
      this.#report(false)
    })
  }

  #reportLater(): void {
    this.#later ??= this.#options.clock.after(laterMs, () => this.#report(false))
  }

  /** Not again and again to an office that does not answer. */
  readonly #onRefresh = (): void => {
    this.#refresh = null
    if (this.#state().wants === 0) return
    if (this.#seqSeen === this.#seq) this.#report(false)
    else this.#refreshSoon()
  }

  #refreshSoon(): void {
    this.#refresh ??= this.#options.clock.after(refreshMs, this.#onRefresh)
  }

  #report(isLast: boolean): void {
    const { id, key, clock, send } = this.#options
    this.#later?.cancel()
    this.#later = null
    // First, because it lets go of claims that nobody waits for.
    const sinceMs = this.#waitingSinceMs()
    this.#dropSurplus()
    this.#told = this.#state()
    this.#seq++
    for (const ask of this.#asked) ask.seq ||= this.#seq
    if (isLast) this.#refresh?.cancel()
    else if (this.#told.wants > 0) this.#refreshSoon()
    send({
      ...this.#told,
      id,
      key,
      seq: this.#seq,
      waitedMs: sinceMs === null ? null : clock.monotonicMs() - sinceMs,
      granted: this.#granted,
      given: this.#given,
      isLast,
    })
  }

  #state(): Pick<PermitReport, 'limit' | 'wants' | 'isBusy'> {
    const limit = this.#options.limit()
    return {
      limit: Number.isFinite(limit) ? limit : null,
      wants: this.#ownClaims + this.#asked.length,
      isBusy: this.#wished > 0 && this.#local.isLacking,
    }
  }

  #waitingSinceMs(): number | null {
    let sinceMs = this.#local.oldestClaimMs(this.#others)
    for (const { member } of this.#asked) {
      const sinceHereMs = member.waitingSinceMs(member.opening)
      if (sinceHereMs !== null && (sinceMs === null || sinceHereMs < sinceMs)) sinceMs = sinceHereMs
    }
    return sinceMs
  }
}

const none = { limit: null, wants: 0, isBusy: false }

/** The other workers, as one more pool of the budget: it has no server here that could be given up. */
class Others implements BudgetMember {
  readonly opening = 0
  readonly closing = 0
  readonly #clock: Clock
  #isForNone = false
  #waitedMs = 0
  #toldAtMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  told({ isForNone, wishWaitedMs }: PermitOrder): void {
    this.#isForNone = isForNone
    this.#waitedMs = wishWaitedMs
    this.#toldAtMs = this.#clock.monotonicMs()
  }

  get slots(): number {
    return this.#isForNone ? 0 : 1
  }

  /** Who has no server waits on since it was told; of one who has some another waits by now, and about as long. */
  waitingSinceMs(): number {
    const asOfMs = this.#isForNone ? this.#toldAtMs : this.#clock.monotonicMs()
    return asOfMs - this.#waitedMs
  }

  oldestIdle(): null {
    return null
  }
}

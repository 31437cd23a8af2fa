// Permits to have servers, handed out to workers: of each budget never more than its limit over all
// of them. Where none is left, workers are asked to give some up: idle servers first, and busy ones
// of a worker that has more than its even share while another has less. Pure: messages in and out.
import { assert } from '../../shared/assert.ts'
import type { Clock } from '../../shared/clock.ts'
import type { PermitOrder, PermitReport } from './permit-messages.ts'

export interface PermitOfficeOptions {
  readonly clock: Clock
  readonly send: (worker: number, order: PermitOrder) => void
}

/** Budgets of all workers: of two for each pool at the most, and pools have servers or clients. */
const accountsMax = 100_000
/** Permits that one worker may want of one budget at a time; it reports again when it has them. */
const wantsMax = 10_000

/** A wait that differs by so much is told again; less than ServerBudget's patience. */
const newsMs = 50

/** A worker that died has left servers behind, which Postgres takes so long to notice. */
export const quarantineMs = 5000

interface Holder {
  readonly worker: number
  readonly id: number
  seq: number
  granted: number
  given: number
  wants: number
  /** Monotonic ms since when the first waits; null: nobody does, or nothing is wanted. */
  sinceMs: number | null
  /** How long it had waited when that was reported. */
  waitedMs: number
  isBusy: boolean
  isGone: boolean
  owed: number
  wish: number
  told: PermitOrder | null
}

interface Account {
  limit: number
  /** By worker. A worker that is gone keeps its place while its permits are held back. */
  readonly holders: Map<number, Holder>
}

const heldBy = (holder: Holder): number => holder.granted - holder.given

export class PermitOffice {
  readonly #options: PermitOfficeOptions
  /** Of budgets that somebody has or wants something of: bounded by the pools of all workers. */
  readonly #accounts = new Map<string, Account>()

  constructor(options: PermitOfficeOptions) {
    this.#options = options
  }

  /** Budgets that are known. */
  get size(): number {
    return this.#accounts.size
  }

  /** Permits handed out, those held back for workers that died among them. */
  issued(key: string): number {
    const account = this.#accounts.get(key)
    return account === undefined ? 0 : issuedOf(account)
  }

  onReport(worker: number, report: PermitReport): void {
    const account = this.#accounts.get(report.key) ?? { limit: 0, holders: new Map() }
    const known = account.holders.get(worker)
    if (known?.isGone) return
    const holder = known?.id === report.id ? known : newHolder(worker, report.id)
    assert(known === undefined || known === holder || heldBy(known) === 0, 'a budget ends empty')
    assert(report.granted <= holder.granted, 'only what was granted is had')
    assert(report.given <= report.granted, 'only what is had is given back')
    assert(report.given >= holder.given, 'what was given back stays so')
    assert(account.holders.size > 0 || this.#accounts.size < accountsMax, 'budgets are few')
    this.#accounts.set(report.key, account)
    account.limit = report.limit ?? Number.POSITIVE_INFINITY
    account.holders.set(worker, holder)
    // What has given something may have more.
    holder.isBusy = report.isBusy || (holder.isBusy && report.given === holder.given)
    holder.seq = report.seq
    holder.given = report.given
    const wants = report.wants - (holder.granted - report.granted)
    holder.wants = Math.min(wantsMax, Math.max(0, wants))
    holder.waitedMs = Math.max(0, report.waitedMs ?? 0)
    holder.sinceMs =
      holder.wants === 0 || report.waitedMs === null
        ? null
        : this.#options.clock.monotonicMs() - holder.waitedMs
    if (report.isLast) account.holders.delete(worker)
    this.#settle(report.key, account)
    if (!report.isLast) this.#tell(account, holder, true)
  }

  /** The worker has died: what it held is held back until Postgres has noticed. */
  onWorkerGone(worker: number): void {
    const left: [string, Account][] = []
    for (const [key, account] of this.#accounts) {
      const holder = account.holders.get(worker)
      if (holder === undefined) continue
      holder.isGone = true
      holder.wants = 0
      holder.sinceMs = null
      left.push([key, account])
      this.#settle(key, account)
    }
    this.#options.clock.after(quarantineMs, () => {
      for (const [key, account] of left) {
        account.holders.delete(worker)
        this.#settle(key, account)
      }
    })
  }

  #settle(key: string, account: Account): void {
    grantAll(account)
    for (const holder of account.holders.values()) {
      // The minimum of a pool is opened where there is room, and makes none.
      if (holder.sinceMs === null) holder.wants = 0
    }
    demandAll(account)
    for (const holder of account.holders.values()) this.#tell(account, holder, false)
    if (account.holders.size === 0) this.#accounts.delete(key)
  }

  #tell({ holders }: Account, holder: Holder, isAnswer: boolean): void {
    if (holder.isGone) return
    const { id, seq, granted, given, owed, wish, told } = holder
    const first = firstOf(holders, (other) => other !== holder && other.sinceMs !== null)
    const isForNone = first !== null && heldBy(first) === 0
    // Who has servers is served meanwhile: another waits first by now, and not as long.
    const nowMs = this.#options.clock.monotonicMs()
    const wishWaitedMs = isForNone ? nowMs - (first.sinceMs ?? nowMs) : (first?.waitedMs ?? 0)
    const isOtherWait = told !== null && Math.abs(told.wishWaitedMs - wishWaitedMs) >= newsMs
    const isNew =
      told === null ||
      told.granted !== granted ||
      told.owed !== owed ||
      told.wish !== wish ||
      (wish > 0 && (told.isForNone !== isForNone || (!isForNone && isOtherWait)))
    if (!isNew && !(isAnswer && told.seq !== seq)) return
    holder.told = {
      id,
      seq,
      granted,
      given,
      owed,
      wish,
      wishWaitedMs,
      isForNone,
    }
    this.#options.send(holder.worker, holder.told)
  }
}

const newHolder = (worker: number, id: number): Holder => ({
  worker,
  id,
  seq: 0,
  granted: 0,
  given: 0,
  wants: 0,
  sinceMs: null,
  waitedMs: 0,
  isBusy: false,
  isGone: false,
  owed: 0,
  wish: 0,
  told: null,
})

function issuedOf({ holders }: Account): number {
  let issued = 0
  for (const holder of holders.values()) issued += heldBy(holder)
  return issued
}

/** To whoever has waited longest; those that nobody waits for come last. */
function grantAll(account: Account): void {
  for (let left = account.limit - issuedOf(account); left > 0; left--) {
    const next = firstOf(account.holders, ({ wants }) => wants > 0)
    if (next === null) return
    next.granted++
    next.wants--
    if (next.wants === 0) next.sinceMs = null
  }
}

function firstOf(
  holders: ReadonlyMap<number, Holder>,
  isMeant: (holder: Holder) => boolean,
): Holder | null {
  let first: Holder | null = null
  const since = ({ sinceMs }: Holder): number => sinceMs ?? Number.POSITIVE_INFINITY
  for (const holder of holders.values()) {
    if (isMeant(holder) && (first === null || since(holder) < since(first))) first = holder
  }
  return first
}

/** What each worker owes, and what the others wish of it, for all that could not be granted. */
function demandAll(account: Account): void {
  const all = [...account.holders.values()].filter(({ isGone }) => !isGone)
  for (const holder of all) {
    holder.owed = 0
    holder.wish = 0
  }
  const parties = all.filter((holder) => heldBy(holder) > 0 || holder.wants > 0)
  let over = Math.max(0, issuedOf(account) - account.limit)
  const lacking = parties.reduce((sum, { wants }) => sum + wants, 0)
  if (over === 0 && lacking === 0) {
    for (const holder of all) holder.isBusy = false
    return
  }
  const keeps = ({ granted, given, owed }: Holder): number => granted - given - owed
  while (over > 0) {
    const richest = most(all, keeps)
    if (richest === null || keeps(richest) === 0) break
    richest.owed++
    over--
  }
  const share = Math.floor(account.limit / parties.length)
  let forced = 0
  for (const poor of parties) {
    for (let due = Math.min(poor.wants, share - heldBy(poor)); due > 0; due--) {
      const richest = most(parties, (holder) => (holder === poor ? 0 : keeps(holder)))
      if (richest === null || keeps(richest) <= share) break
      richest.owed++
      forced++
    }
  }
  wishAll(parties, lacking, lacking - forced, keeps)
}

/**
 * `lacking`: permits wanted in all; `count`: those that nobody owes. One worker after the other is asked:
 * while one has something idle that is enough; when all are busy any of them may be the first to give.
 */
function wishAll(
  parties: readonly Holder[],
  lacking: number,
  count: number,
  keeps: (holder: Holder) => number,
): void {
  let left = count
  const wishable = (holder: Holder): number =>
    Math.max(0, Math.min(left, lacking - holder.wants, keeps(holder)))
  const byWealth = parties.toSorted((one, other) => keeps(other) - keeps(one))
  for (const holder of byWealth) {
    if (holder.isBusy) continue
    holder.wish = wishable(holder)
    left -= holder.wish
  }
  for (const holder of byWealth) if (holder.isBusy) holder.wish = wishable(holder)
}

function most(holders: readonly Holder[], of: (holder: Holder) => number): Holder | null {
  let best: Holder | null = null
  for (const holder of holders) if (best === null || of(holder) > of(best)) best = holder
  return best
}

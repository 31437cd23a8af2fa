// The transaction state of one Postgres backend as src/backend/access/transam/xact.c and
// tcop/postgres.c keep it, so far as a client can tell: the status byte, implicit blocks, pipelines,
// savepoints, and the settings that roll back with them.

import { ModelError, type TransactionVerb } from './model-statements.ts'
import type { TransactionStatus } from './raw-messages.ts'

/**
 * none: outside. single: one statement's own transaction. implicit: several statements of one
 * Query, or of a pipeline before its Sync. block: after BEGIN. failed: a block after an error.
 */
type BlockState = 'none' | 'single' | 'implicit' | 'block' | 'failed'

/** Portals live as long as the savepoint depth that they were made at. */
export interface PortalOwner {
  /** Those made at this depth or deeper can no longer run. */
  onPortalsFail(depth: number): void
  /** Those made at this depth or deeper are gone; gives the names of those made in a failed transaction that never ran. */
  onPortalsEnd(depth: number): string[]
  /** Those made deeper belong to this depth from now on. */
  onPortalsRise(depth: number): void
}

interface Settings {
  readonly session: Map<string, string>
  readonly local: Map<string, string>
}

interface Savepoint {
  readonly name: string
  readonly before: Settings
}

export interface Warning {
  readonly sqlState: string
  readonly text: string
}

/** What the command leaves to the caller: its tag, and warnings to send first. */
export interface TransactionOutcome {
  readonly commandTag: string
  readonly warnings: readonly Warning[]
}

const noTransaction: Warning = { sqlState: '25P01', text: 'there is no transaction in progress' }

export class ModelTransaction {
  #state: BlockState = 'none'
  /** Postgres' xact_started: the command loop has begun something it must finish. */
  #isCommandOpen = false
  /** Postgres' XACT_FLAGS_PIPELINING: an Execute ran since the transaction began. */
  #isPipelining = false
  #savepoints: Savepoint[] = []
  readonly #everSet = new Set<string>()
  #settings: Settings
  #before: Settings
  readonly #defaults: ReadonlyMap<string, string>
  readonly #portals: PortalOwner

  constructor(defaults: ReadonlyMap<string, string>, portals: PortalOwner) {
    this.#defaults = defaults
    this.#settings = { session: new Map(defaults), local: new Map() }
    this.#before = copyOf(this.#settings)
    this.#portals = portals
  }

  get status(): TransactionStatus {
    if (this.#state === 'failed') return 'E'
    return this.#state === 'block' || this.#state === 'implicit' ? 'T' : 'I'
  }

  get isFailed(): boolean {
    return this.#state === 'failed'
  }

  /** The fault described at `startCommand`: nothing seems open, and the next statement fails. */
  get isHalfEnded(): boolean {
    return this.#state === 'single' && !this.#isCommandOpen
  }

  /** A Sync now would leave that fault behind. */
  get isHalfOpen(): boolean {
    return this.#state === 'implicit' && !this.#isCommandOpen
  }

  /** Savepoints above the transaction; portals belong to the depth they were made at. */
  get depth(): number {
    return this.#savepoints.length
  }

  /** A name that was ever set reads as empty afterwards, even when that was rolled back. */
  setting(name: string): string | null {
    const { local, session } = this.#settings
    return local.get(name) ?? session.get(name) ?? (this.#everSet.has(name) ? '' : null)
  }

  /**
   * Before each statement. A Query inside a pipeline leaves its transaction open but not started
   * here (Postgres 18 does so); a Sync then ends the block only by half, and the next statement
   * fails with XX000. The model keeps that fault, for it decides what the next user of a server sees.
   */
  startCommand(): void {
    if (this.#isCommandOpen) {
      if (this.#isPipelining && this.#state === 'single') this.#state = 'implicit'
      return
    }
    if (this.#state === 'single') {
      throw new ModelError('XX000', 'StartTransactionCommand: unexpected state STARTED')
    }
    if (this.#state === 'none') this.#begin('single')
    this.#isCommandOpen = true
  }

  /** Several statements in one Query share one transaction. */
  startImplicitBlock(): void {
    if (this.#state === 'single') this.#state = 'implicit'
  }

  /** At the end of a Query of several statements, and at Sync. */
  endImplicitBlock(): void {
    if (this.#state === 'implicit') this.#state = 'single'
  }

  finishCommand(): void {
    if (!this.#isCommandOpen) return
    this.#isCommandOpen = false
    if (this.#state === 'single') this.#end(true)
  }

  markPipelining(): void {
    this.#isPipelining = true
  }

  /** After any error. */
  abort(): void {
    this.#isCommandOpen = false
    if (this.#state === 'single' || this.#state === 'implicit') this.#end(false)
    else if (this.#state === 'block') {
      this.#state = 'failed'
      this.#portals.onPortalsFail(this.depth)
      this.#settings = copyOf(this.#savepoints.at(-1)?.before ?? this.#before)
    }
  }

  /** Commands that bring their own transaction, such as DISCARD ALL. */
  preventInBlock(what: string): void {
    if (this.#state !== 'single' || this.#isPipelining) {
      throw new ModelError('25001', `${what} cannot run inside a transaction block`)
    }
  }

  set(name: string, value: string | null, isLocal: boolean): TransactionOutcome {
    const { session, local } = this.#settings
    this.#everSet.add(name)
    const wanted = value ?? this.#defaults.get(name) ?? ''
    if (isLocal) local.set(name, wanted)
    else {
      local.delete(name)
      session.set(name, wanted)
    }
    const commandTag = value === null ? 'RESET' : 'SET'
    if (!isLocal || this.#state !== 'single') return { commandTag, warnings: [] }
    // It holds up to the end of the pipeline all the same.
    const text = 'SET LOCAL can only be used in transaction blocks'
    return { commandTag, warnings: [{ sqlState: '25P01', text }] }
  }

  resetSettings(): void {
    this.#settings = { session: new Map(this.#defaults), local: new Map() }
  }

  /** Runs a transaction command; `finishCommand` follows in every case. */
  run(verb: TransactionVerb, name: string): TransactionOutcome {
    switch (verb) {
      case 'begin':
        return this.#runBegin()
      case 'commit':
        return this.#runEnd('COMMIT')
      case 'rollback':
        return this.#runEnd('ROLLBACK')
      case 'commit and chain':
        return this.#runChain('COMMIT')
      case 'rollback and chain':
        return this.#runChain('ROLLBACK')
      case 'savepoint':
        this.#requireBlock('SAVEPOINT')
        this.#savepoints.push({ name, before: copyOf(this.#settings) })
        return { commandTag: 'SAVEPOINT', warnings: [] }
      case 'release':
        this.#requireBlock('RELEASE SAVEPOINT')
        this.#savepoints.length = this.#find(name)
        this.#portals.onPortalsRise(this.depth)
        return { commandTag: 'RELEASE', warnings: [] }
      case 'rollback to':
        return this.#runRollbackTo(name)
    }
  }

  #runBegin(): TransactionOutcome {
    if (this.#state !== 'block') {
      this.#state = 'block'
      return { commandTag: 'BEGIN', warnings: [] }
    }
    const text = 'there is already a transaction in progress'
    return { commandTag: 'BEGIN', warnings: [{ sqlState: '25001', text }] }
  }

  #runEnd(verb: 'COMMIT' | 'ROLLBACK'): TransactionOutcome {
    const isBlock = this.#state === 'block' || this.#state === 'failed'
    const wasFailed = this.#state === 'failed'
    const isCommit = verb === 'COMMIT' && !wasFailed
    const unclean = this.#end(isCommit)
    this.#isCommandOpen = false
    const warnings = wasFailed ? unclean : isBlock ? [] : [noTransaction]
    return { commandTag: isCommit ? 'COMMIT' : 'ROLLBACK', warnings }
  }

  #runChain(verb: 'COMMIT' | 'ROLLBACK'): TransactionOutcome {
    if (this.#state !== 'block' && this.#state !== 'failed') {
      throw new ModelError('25P01', `${verb} AND CHAIN can only be used in transaction blocks`)
    }
    const outcome = this.#runEnd(verb)
    this.#begin('block')
    return outcome
  }

  #runRollbackTo(name: string): TransactionOutcome {
    this.#requireBlock('ROLLBACK TO SAVEPOINT')
    const index = this.#find(name)
    const { before } = this.#savepoints[index] as Savepoint
    this.#settings = copyOf(before)
    this.#savepoints.length = index + 1
    const unclean = this.#endPortals(index + 1)
    const warnings = this.#state === 'failed' ? unclean : []
    this.#state = 'block'
    return { commandTag: 'ROLLBACK', warnings }
  }

  #requireBlock(what: string): void {
    if (this.#state === 'block' || this.#state === 'failed') return
    throw new ModelError('25P01', `${what} can only be used in transaction blocks`)
  }

  #find(name: string): number {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
    if (index < 0) throw new ModelError('3B001', `savepoint "${name}" does not exist`)
    return index
  }

  #begin(state: 'single' | 'block'): void {
    this.#state = state
    this.#isPipelining = false
    this.#before = copyOf(this.#settings)
  }

  #end(isCommit: boolean): Warning[] {
    this.#state = 'none'
    this.#savepoints = []
    this.#settings = isCommit
      ? { session: this.#settings.session, local: new Map() }
      : copyOf(this.#before)
    return this.#endPortals(0)
  }

  /** Postgres warns of portals that were made in a failed transaction and never ran. */
  #endPortals(depth: number): Warning[] {
    return this.#portals.onPortalsEnd(depth).map((name) => ({
      sqlState: '01000',
      text: `skipping cleanup for portal "${name}"`,
    }))
  }
}

const copyOf = ({ session, local }: Settings): Settings => ({
  session: new Map(session),
  local: new Map(local),
})

// What one worker needs of the others, over its link to the primary: permits for servers, cancels of
// clients that are elsewhere, counts of clients, wrong secrets, the end of a project's connections.
import type { Clock, Timer } from '../shared/clock.ts'
import { PoolerError } from '../shared/errors.ts'
import type { LiveSessions } from './access/live-sessions.ts'
import type { SessionView } from './api/api-deps.ts'
import type { AuthThrottle } from './auth/auth-throttle.ts'
import { cancelWithinMs } from './cancel/cancel-requests.ts'
import type { OperatorThrottle } from './client/admin-login.ts'
import { sessionsToldMax } from './config/limits.ts'
import type { DataPlane, OtherWorkers } from './data-plane.ts'
import { mergeMetrics } from './metrics/merged-metrics.ts'
import type { MetricsText } from './metrics/metrics-text.ts'
import { type FiguresHere, figuresHereOf } from './project-figures-of.ts'
import { sessionViewsOf } from './session-views-of.ts'
import type { WorkerLink } from './workers/worker-link.ts'

/** Changed counts are told together; what comes in between may pass a limit. */
const tellAfterMs = 20
/** Changes of schemas that come together, as a migration's, are told together. */
const tellSchemasAfterMs = 1
/** Told at once; beyond it the rest is told next. */
const schemasToldMax = 1000
/** Where they could not be told. */
const tellAgainMs = 1000

export interface ServedParts {
  readonly data: DataPlane
  readonly throttle: AuthThrottle
  /** Of the console's door. */
  readonly operatorThrottle: OperatorThrottle
  readonly metricsText: MetricsText
  readonly liveSessions: LiveSessions
  readonly reload: () => Promise<void>
}

export class OtherWorkersLink implements OtherWorkers {
  readonly slot: number
  readonly of: number
  readonly #link: WorkerLink
  readonly #clock: Clock
  readonly #connections = new Map<number, number>()
  readonly #changed = new Set<string>()
  #data: DataPlane | null = null
  #telling: Timer | null = null
  /** By both names, which have no NUL; no more than there are databases with pools. */
  readonly #changedSchemas = new Map<string, readonly [ref: string, database: string]>()
  #tellingSchemas: Timer | null = null

  constructor(link: WorkerLink, clock: Clock) {
    this.slot = link.place.slot
    this.of = link.place.of
    this.#link = link
    this.#clock = clock
  }

  readonly newBudget: OtherWorkers['newBudget'] = (key, name, limit) =>
    this.#link.budgets.make(key, name, limit)

  readonly cancel: OtherWorkers['cancel'] = async (processId, secret) => {
    const asked = { processId, secret: secret.toString('hex') }
    const { answers } = await this.#link.ask('cancel', asked, cancelWithinMs)
    return answers.includes(true)
  }

  clients(): number {
    let clients = 0
    for (const connections of this.#connections.values()) clients += connections
    return clients
  }

  readonly onClientsChanged = (tenantRef: string): void => {
    this.#changed.add(tenantRef)
    this.#telling ??= this.#clock.after(tellAfterMs, () => this.#tellClients())
  }

  readonly onSchemaChanged: OtherWorkers['onSchemaChanged'] = (ref, database) => {
    this.#changedSchemas.set(`${ref}\0${database}`, [ref, database])
    this.#tellingSchemas ??= this.#clock.after(tellSchemasAfterMs, () => this.#tellSchemas())
  }

  /** What the others ask is answered from here on. */
  serve(parts: ServedParts): void {
    const { data, throttle, operatorThrottle, metricsText, liveSessions, reload } = parts
    const link = this.#link
    link.answer('reload', async () => {
      await reload()
      return null
    })
    link.answer('metrics', async ({ ref }) => ({
      slot: this.slot,
      text: await (ref === null ? metricsText.render() : metricsText.renderTenant(ref)),
    }))
    this.#data = data
    link.answer('cancel', async ({ processId, secret }) => {
      const target = data.cancelKeys.find(processId, Buffer.from(secret, 'hex'))
      await target?.cancel()
      return target !== null
    })
    throttle.onWrong = (ref, source) => link.tell('wrong', { ref, source })
    operatorThrottle.onWrong = (source) => link.tell('wrong', { ref: null, source })
    link.answer('wrong', ({ ref, source }) => {
      if (ref === null) operatorThrottle.noteWrong(source)
      else throttle.noteWrong(ref, source)
      return null
    })
    link.answer('sessions', ({ ref }) =>
      sessionViewsOf(ref, liveSessions).slice(0, sessionsToldMax),
    )
    link.answer('figures', ({ ref }) => figuresHereOf(ref, data))
    link.answer('lift', ({ ref, sources }) => {
      throttle.lift(ref, sources ?? undefined)
      return null
    })
    link.answer('terminate', async ({ ref, reason }) => {
      await data.endClientsOf(ref, new PoolerError('ETERMINATED', { values: { reason } }))
      return null
    })
    link.answer('clients', ({ connections, tenants }, from) => {
      this.#connections.set(from, connections)
      for (const [ref, counts] of tenants) data.clientCounts.noteElsewhere(from, ref, counts)
      return null
    })
    link.answer('schemas', ({ changed }) => {
      for (const [ref, database] of changed)
        data.pools.schemaOf(ref, database)?.onChangedElsewhere()
      return null
    })
    link.onLeft((worker) => {
      this.#connections.delete(worker)
      data.clientCounts.forgetElsewhere(worker)
    })
    // A newcomer has heard of nobody.
    link.onJoined(() => {
      for (const ref of data.clientCounts.tenantRefs) this.onClientsChanged(ref)
    })
  }

  /** The figures of all, with those that this worker would tell alone. */
  async metrics(ref: string | null, text: string): Promise<string> {
    const { answers, faults, missing } = await this.#link.ask('metrics', { ref })
    return mergeMetrics([{ slot: this.slot, text }, ...answers], missing + faults.length)
  }

  /** Those of the workers that answer in time. */
  async figures(ref: string): Promise<readonly FiguresHere[]> {
    return (await this.#link.ask('figures', { ref })).answers
  }

  /** People who are in through the workers that answer in time. */
  async sessions(ref: string): Promise<readonly SessionView[]> {
    return (await this.#link.ask('sessions', { ref })).answers.flat()
  }

  /** Certificates are read again by the others. Rejects with what the first says who cannot use them. */
  async reload(): Promise<void> {
    const { faults, missing } = await this.#link.ask('reload', null)
    const [fault] = faults
    if (fault !== undefined) throw new Error(fault)
    if (missing > 0) throw new Error(`${missing} workers did not answer`)
  }

  async lift(ref: string, sources: readonly string[] | null): Promise<void> {
    await this.#link.ask('lift', { ref, sources })
  }

  async terminate(ref: string, reason: string): Promise<void> {
    await this.#link.ask('terminate', { ref, reason }, terminateWithinMs)
  }

  #tellSchemas(): void {
    this.#tellingSchemas = null
    const changed = [...this.#changedSchemas.values()].slice(0, schemasToldMax)
    const isTold = this.#link.tell('schemas', { changed })
    if (isTold)
      for (const [ref, database] of changed) this.#changedSchemas.delete(`${ref}\0${database}`)
    if (this.#changedSchemas.size === 0) return
    const ms = isTold ? tellSchemasAfterMs : tellAgainMs
    this.#tellingSchemas = this.#clock.after(ms, () => this.#tellSchemas())
  }

  #tellClients(): void {
    this.#telling = null
    const data = this.#data
    if (data === null) return
    const tenants = [...this.#changed].map((ref) => [ref, data.clientCounts.told(ref)] as const)
    const { loggedInCount, beforeLoginCount } = data.quota
    const connections = loggedInCount + beforeLoginCount
    if (this.#link.tell('clients', { connections, tenants })) this.#changed.clear()
    else this.#telling = this.#clock.after(tellAgainMs, () => this.#tellClients())
  }
}

/** Pools are closed when Postgres has closed its ends. */
const terminateWithinMs = 10_000

// A client from AuthenticationOk on: its place in the counts, in a pool and among the live
// sessions, its login answer and its relay. Leaves all of them once, however it ends.
import type { ErrorCode } from '../../shared/error-catalogue.ts'
import { PoolerError } from '../../shared/errors.ts'
import { noticeResponse, PostgresError } from '../../shared/protocol/error-response.ts'
import type { Pool } from '../pool/pool.ts'
import { type PoolKey, poolKeyText } from '../pool/pool-key.ts'
import type { PoolClient, PoolPlace } from '../pool/pool-registry.ts'
import { ConversationFailed } from '../pool/server-conversation.ts'
import { Relay } from '../relay/relay.ts'
import type { RelayEnd } from '../relay/relay-options.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { isForItsPast } from '../relay/setting-names.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { ClientConnection } from './client-connection.ts'
import type { ClientServices } from './client-services.ts'
import type { Login } from './log-in.ts'
import { loginAnswer } from './login-answer.ts'
import { ClientGone } from './login-dialog.ts'
import { knownLoginState, type LoginState, loginStateOf } from './login-state.ts'
import { waitForServer } from './login-waiter.ts'

type Settings = ReadonlyMap<string, string>

/** Servers that one login may lose before it is told. */
const serversTriedMax = 3

export class ClientSession implements PoolClient {
  seat = -1
  readonly login: Login
  readonly key: PoolKey
  readonly #connection: ClientConnection
  readonly #services: ClientServices
  readonly #leaveCounts: () => void
  readonly #place: PoolPlace
  readonly #pool: Pool
  readonly #poolKey: string
  #relay: Relay | null = null
  /** Of BackendKeyData; 0 before. */
  #processId = 0
  #hasLeft = false

  /** Throws EMAXCONN, EMAXCONNTENANT or EMAXPOOLS; nothing has to be left then. */
  constructor(connection: ClientConnection, services: ClientServices, login: Login) {
    const { tenant, identity, request } = login
    const secret = login.authenticated.person?.upstreamSecret ?? null
    this.#connection = connection
    this.#services = services
    this.login = login
    this.key = {
      tenantRef: tenant.ref,
      role: identity.role,
      database: request.database ?? tenant.dbDatabase,
      mode: login.mode,
      ...(secret !== null && { tokenName: secret.name }),
    }
    this.#poolKey = poolKeyText(this.key)
    this.#leaveCounts = services.clientCounts.enter(tenant, identity.role)
    try {
      const { pools } = services
      const isAlone = login.mode === 'direct'
      this.#place = isAlone
        ? pools.enterAlone(this.key, this, {
            startup: login.startup,
            secret: secret?.token ?? null,
          })
        : pools.enter(this.key, this, secret?.token ?? null)
      this.#pool = this.#place.pool
    } catch (error) {
      this.#leaveCounts()
      throw error
    }
  }

  get relay(): Relay | null {
    return this.#relay
  }

  /** The state that metrics count this client under. */
  get state(): string {
    return this.#relay?.state ?? 'login'
  }

  /** It named no database, and the project has another one by now than the one that it is in. */
  isMisplacedIn(tenant: Tenant): boolean {
    return this.login.request.database === null && this.key.database !== tenant.dbDatabase
  }

  /** From AuthenticationOk to ReadyForQuery. */
  async begin(): Promise<void> {
    if (this.key.mode === 'transaction') await this.#beginTransactions()
    else await this.#beginSession()
  }

  /** Once; `end` is how the connection ended. */
  leave(end: RelayEnd): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    const { cancelKeys } = this.#services
    cancelKeys.withdraw(this.#processId)
    this.#place.leave()
    this.#leaveCounts()
    const reason = end instanceof PoolerError ? end.code : end
    if (end instanceof PoolerError) this.#connection.count(end.code as ErrorCode)
    const { counters } = this.#connection
    counters.clientsLeft.count(reason)
    const endReason = this.login.authenticated.person?.endReason ?? null
    if (endReason !== null) counters.accessEnds.count(endReason)
    this.login.authenticated.person?.leave(reason, {
      bytes: (this.#relay?.bytesFromClient ?? 0) + (this.#relay?.bytesToClient ?? 0),
      transactions: this.#relay?.transactions ?? 0,
    })
    this.#connection.log.info({ reason }, 'client left')
  }

  async #beginSession(): Promise<void> {
    const { link, spelled } = await this.#obtainWithSettings()
    const reports = { values: link.reported, spelling: link.spelling }
    this.#start(link, loginStateOf(reports, spelled, this.login.attribution))
  }

  async #beginTransactions(): Promise<void> {
    const { startupSettings } = this.#services
    let spelled = startupSettings.known(this.#poolKey, this.login.settings)
    let reports = this.#pool.reports
    if (spelled === null || reports === null) {
      const obtained = await this.#obtainWithSettings()
      spelled = obtained.spelled
      reports = obtained.link
      this.#pool.checkin(obtained.link)
    }
    this.#start(null, knownLoginState(reports, spelled, this.login.attribution))
  }

  /** A server lost meanwhile, or spoilt for its settings, is replaced: nothing of the client's has run on it. */
  async #obtainWithSettings(): Promise<{ link: ServerLink; spelled: Settings }> {
    for (let attempt = 1; ; attempt++) {
      const link = await this.#obtain()
      try {
        const spelled = await this.#apply(link)
        this.#stillOpen(link)
        return { link, spelled }
      } catch (error) {
        const isLost = error instanceof PoolerError && error.code === 'ESERVERLOST'
        if (!(isLost || link.isRetired) || attempt === serversTriedMax) throw error
      }
    }
  }

  async #obtain(): Promise<ServerLink> {
    const { tail, authenticated } = this.login
    const person = authenticated.person?.userId ?? null
    const link = await waitForServer(this.#pool, tail, this.#connection.id, person)
    this.#stillThere(link)
    return link
  }

  /** The startup settings on a server of ours; it is given back when they cannot be had. */
  async #apply(link: ServerLink): Promise<Settings> {
    if (this.login.settings.size === 0) return this.login.settings
    try {
      const { startupSettings } = this.#services
      const { settings, authenticated } = this.login
      const person = authenticated.person?.userId ?? null
      const spelled = await startupSettings.apply(link, this.#poolKey, settings, person)
      this.#stillThere(link)
      return spelled
    } catch (error) {
      if (error instanceof ConversationFailed) {
        this.#pool.discard(link, 'lost')
        throw new PoolerError('ESERVERLOST', { values: { reason: error.message }, cause: error })
      }
      if (error instanceof ClientGone) throw error
      if (error instanceof PostgresError && isForItsPast(error) && !link.isNew)
        link.isRetired = true
      this.#pool.checkin(link)
      throw error
    }
  }

  #stillThere(link: ServerLink): void {
    if (!this.login.tail.isGone && !this.#connection.isOver) return
    this.#pool.checkin(link)
    throw new ClientGone('while its login waited for a server')
  }

  /** Its end may have come with its answer, and was told to nobody who could go on with another. */
  #stillOpen(link: ServerLink): void {
    if (link.isUsable) return
    const reason = link.fatal?.message ?? 'closed by the database'
    this.#pool.discard(link, 'lost')
    throw new PoolerError('ESERVERLOST', { values: { reason } })
  }

  #start(link: ServerLink | null, state: LoginState): void {
    const { login } = this
    const { clock, config, ticker, cancelKeys } = this.#services
    const relay = new Relay({
      clientId: this.#connection.id,
      person: login.authenticated.person?.userId ?? null,
      attribution: login.attribution,
      witness: login.authenticated.person?.witness ?? null,
      mode: this.key.mode === 'transaction' ? 'transaction' : 'session',
      transport: login.tail.transport,
      lane: this.#pool.lane,
      statements: this.key.mode === 'transaction' ? this.#pool.statements : null,
      schema: this.#pool.schema,
      sequences: this.#pool.sequences,
      stateCheck: config.poolerStateCheck,
      notifications:
        this.key.mode === 'transaction'
          ? { source: this.#pool.hub, queueBytesMax: config.clientNotificationBytesMax }
          : null,
      source: this.#pool,
      counters: this.#pool.counters,
      clock,
      ticker,
      profile: state.profile,
      startup: state.startup,
      onFault: (error) => this.#connection.internal(error),
      onTold: (code) => this.#connection.count(code),
      onEnded: (end) => this.leave(end),
    })
    this.#relay = relay
    const key = cancelKeys.issue(relay, login.request.minor >= 2)
    this.#processId = key.processId
    relay.asides.processId = key.processId
    const until = login.authenticated.person?.notice ?? null
    const notice = until === null ? null : noticeResponse(until)
    relay.transport.write(loginAnswer(state.reports, key, notice))
    this.#connection.log.info(
      { tenant: this.key.tenantRef, role: this.key.role, mode: this.key.mode },
      'client logged in',
    )
    relay.start(link, login.tail.take())
    if (link !== null) link.toldProcessId = key.processId
  }
}

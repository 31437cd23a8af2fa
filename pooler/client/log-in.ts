// The stages of a login behind the startup packet: whose connection it is, whether it may knock,
// who it is, its place in a pool, its settings, and the answer that ends in the relay.
import { PoolerError } from '../../shared/errors.ts'
import { applicationNameAsKept } from '../../shared/protocol/application-name.ts'
import { authenticationOk } from '../../shared/protocol/backend-messages.ts'
import { noticeResponse } from '../../shared/protocol/error-response.ts'
import { isLoopback, sourceKey } from '../accept/address-filter.ts'
import type { Authenticated } from '../auth/authenticate.ts'
import type { PoolMode } from '../pool/pool-key.ts'
import { Attribution, nameSetting, personLabel } from '../relay/attribution.ts'
import type { Transport } from '../relay/transport.ts'
import { type Identity, identifyTenant } from '../startup/identify-tenant.ts'
import { jitRequest } from '../startup/startup-options.ts'
import {
  checkMode,
  readStartupRequest,
  type StartupRequest,
  settingsWithJit,
} from '../startup/startup-parameters.ts'
import type { Tenant } from '../tenant/tenant.ts'
import { type Arrival, tellVersion } from './arrival.ts'
import { checkTenant } from './check-tenant.ts'
import type { ClientConnection } from './client-connection.ts'
import type { ClientServices } from './client-services.ts'
import { ClientSession } from './client-session.ts'
import { ClientGone, LoginDialog } from './login-dialog.ts'
import { LoginTail } from './login-tail.ts'
import { serveAdmin } from './serve-admin.ts'

/**
 * Fulfilled when the client is in the relay, or has been served as an operator and is to be let go.
 * Throws PoolerError, PostgresError or ClientGone for a client that does not get in.
 */
export async function logIn(
  connection: ClientConnection,
  arrival: Arrival,
  services: ClientServices,
): Promise<'relayed' | 'served'> {
  const request = readStartupRequest(arrival.packet)
  if (services.isDraining()) throw new PoolerError('EDRAINING')
  if (await serveAdmin(connection, arrival, request, services)) return 'served'
  const identity = identifyTenant(request, {
    serverName: arrival.tls?.serverName ?? null,
    poolerDomain: services.config.poolerDomain,
    listenerMode: connection.mode,
  })
  const source = sourceKey(connection.address)
  const tenant = await findTenant(identity, source, services)
  connection.noteTenant(tenant.ref)
  if (services.holds.isDisabled(tenant.ref)) {
    const reason = `project "${tenant.ref}" takes no new clients: an operator disabled it`
    throw new PoolerError('ETERMINATED', { values: { reason } })
  }
  checkTenant(tenant, {
    address: connection.address,
    isTls: arrival.tls !== null,
    nowMs: services.clock.wallMs(),
  })
  const mode = identity.isDirect ? 'direct' : connection.mode
  checkMode(request, mode)
  services.clientCounts.check(tenant, identity.role)
  tellVersion(arrival)
  const isTokenAsked =
    tenant.useJit && request.options.jit !== null && jitRequest(request.options.jit) === 'on'
  const dialog = new LoginDialog(arrival.socket, arrival.rest)
  const authenticated = await services.authenticator.authenticate({
    dialog,
    tenant,
    role: identity.role,
    address: connection.address,
    source,
    applicationName: request.settings.get('application_name') ?? '',
    isTokenAsked,
    mayBeToken: identity.isDirect && mayBeToken(request, tenant),
    isPrivate: arrival.tls !== null || isTrustedLoopback(connection, services),
    certificate: arrival.tls?.certificate ?? null,
    endAccess: (error) => connection.endAccess(error),
    warn: (text) => connection.session?.relay?.asides.notify(noticeResponse(text)),
    onRefused: (reason) => services.counters.of(tenant.ref).refusals.count(reason),
  })
  if (authenticated.person !== null && request.replication !== 'off') {
    authenticated.person.leave('EUNSUPPORTEDPROTOCOL', { transactions: 0, bytes: 0 })
    throw new PoolerError('EUNSUPPORTEDPROTOCOL', { values: { what: 'replication with a token' } })
  }
  const attribution = attributionOf(authenticated, services.config)
  const isPerson = authenticated.person !== null
  const settings = settingsOf(request, isTokenAsked, isPerson, attribution)
  const isAlone = mode === 'direct' || request.replication !== 'off'
  const login: Login = {
    tenant,
    identity,
    request,
    authenticated,
    attribution,
    // A server of one's own is opened with them; any other has them set.
    settings: isAlone ? noSettings : settings,
    startup: isAlone ? startupOf(request, settings) : noSettings,
    mode: isAlone ? 'direct' : mode,
    tail: new LoginTail(arrival.socket, dialog.takeRest(), services.openTransport),
  }
  await enter(connection, services, login, dialog.takeUnsent())
  return 'relayed'
}

export interface Login {
  readonly tenant: Tenant
  readonly identity: Identity
  readonly request: StartupRequest
  readonly authenticated: Authenticated
  readonly attribution: Attribution
  /** To be SET on servers that are shared. */
  readonly settings: ReadonlyMap<string, string>
  /** To open the client's own server with, in mode direct. */
  readonly startup: ReadonlyMap<string, string>
  readonly mode: PoolMode
  readonly tail: LoginTail
}

const noSettings: ReadonlyMap<string, string> = new Map()

/** What the client's own server is opened with besides user and database. */
function startupOf(
  { replication }: StartupRequest,
  settings: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  if (replication === 'off') return settings
  return new Map(settings).set('replication', replication === 'logical' ? 'database' : 'true')
}

/** On a direct host nobody has to say that the password is a token, but may say that it is none. */
function mayBeToken({ options }: StartupRequest, tenant: Tenant): boolean {
  return tenant.useJit && (options.jit === null || jitRequest(options.jit) !== 'off')
}

async function enter(
  connection: ClientConnection,
  services: ClientServices,
  login: Login,
  lastOfDialog: Buffer,
): Promise<void> {
  const session = newSession(connection, services, login)
  try {
    connection.onAuthenticated(session)
    await begin(session, login.tail.transport, lastOfDialog)
  } catch (error) {
    session.leave('refused')
    throw error
  }
}

/** Where nothing has to be waited for, all that the client is told leaves in one system call. */
function begin(session: ClientSession, transport: Transport, lastOfDialog: Buffer): Promise<void> {
  transport.hold()
  try {
    if (lastOfDialog.length > 0) transport.write(lastOfDialog)
    transport.write(authenticationOk())
    return session.begin()
  } finally {
    transport.release()
  }
}

/** A person who is in, but finds no place, is out again: nobody else would take them off the list. */
function newSession(
  connection: ClientConnection,
  services: ClientServices,
  login: Login,
): ClientSession {
  try {
    // Ended or timed out while it was judged: it has had its last words.
    if (connection.isOver) throw new ClientGone('before it was let in')
    return new ClientSession(connection, services, login)
  } catch (error) {
    const reason = error instanceof PoolerError ? error.code : 'refused'
    login.authenticated.person?.leave(reason, { transactions: 0, bytes: 0 })
    throw error
  }
}

async function findTenant(
  identity: Identity,
  source: string,
  services: ClientServices,
): Promise<Tenant> {
  const key = identity.by === 'ref' ? { ref: identity.ref } : { sniHostname: identity.sniHostname }
  const tenant = await services.tenants.find(key, source)
  if (tenant !== null) return tenant
  if (identity.by === 'sniHostname') throw new PoolerError('ENOIDENTIFIER')
  throw new PoolerError('ENOTFOUND', { values: { ref: identity.ref } })
}

/** Plain loopback counts as TLS for tokens where an operator says so, and only there. */
function isTrustedLoopback(connection: ClientConnection, services: ClientServices): boolean {
  if (connection.isProxied) return false
  return services.config.allowInsecureLoopbackTokens && isLoopback(connection.address)
}

/** What the client asked for, but that servers bear the name that is due to whoever uses them. */
function settingsOf(
  request: StartupRequest,
  isTokenAsked: boolean,
  isPerson: boolean,
  attribution: Attribution,
): ReadonlyMap<string, string> {
  const settings = isTokenAsked ? request.settings : settingsWithJit(request)
  const own = settings.get(nameSetting)
  if (own === undefined && !isPerson) return settings
  const name = attribution.nameFor(isPerson ? applicationNameAsKept(own ?? '') : (own ?? ''))
  return new Map(settings).set(nameSetting, name)
}

function attributionOf(
  authenticated: Authenticated,
  config: ClientServices['config'],
): Attribution {
  const { person } = authenticated
  if (person === null) return new Attribution(null)
  const email = config.attribution === 'email' ? person.email : null
  return new Attribution(personLabel(person.userId, email))
}

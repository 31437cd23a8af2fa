// The stages of a login behind the startup packet: whose connection it is, whether it may knock,
// who it is, its place in a pool, its settings, and the answer that ends in the relay.
import { PoolerError } from '../../shared/errors.ts'
import {
  authenticationOk,
  negotiateProtocolVersion,
} from '../../shared/protocol/backend-messages.ts'
import { noticeResponse } from '../../shared/protocol/error-response.ts'
import { isLoopback, sourceKey } from '../accept/address-filter.ts'
import type { Authenticated } from '../auth/authenticate.ts'
import { type Identity, identifyTenant } from '../startup/identify-tenant.ts'
import { jitRequest } from '../startup/startup-options.ts'
import {
  checkMode,
  readStartupRequest,
  type StartupRequest,
  settingsWithJit,
} from '../startup/startup-parameters.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { Arrival } from './arrival.ts'
import { checkTenant } from './check-tenant.ts'
import type { ClientConnection } from './client-connection.ts'
import type { ClientServices } from './client-services.ts'
import { ClientSession } from './client-session.ts'
import { LoginDialog } from './login-dialog.ts'
import { LoginTail } from './login-tail.ts'

/** Throws PoolerError, PostgresError or ClientGone for a client that does not get in. */
export async function logIn(
  connection: ClientConnection,
  arrival: Arrival,
  services: ClientServices,
): Promise<void> {
  const request = readStartupRequest(arrival.packet)
  if (services.isDraining()) throw new PoolerError('EDRAINING')
  const identity = identifyTenant(request, {
    serverName: arrival.tls?.serverName ?? null,
    poolerDomain: services.config.poolerDomain,
    listenerMode: connection.mode,
  })
  const tenant = await findTenant(identity, services)
  connection.noteTenant(tenant.ref)
  checkTenant(tenant, {
    address: connection.address,
    isTls: arrival.tls !== null,
    nowMs: services.clock.wallMs(),
  })
  checkMode(request, identity.isDirect ? 'direct' : connection.mode)
  if (request.replication !== 'off') {
    throw new PoolerError('EUNSUPPORTEDPROTOCOL', { values: { what: 'replication' } })
  }
  services.clientCounts.check(tenant, identity.role)
  if (request.negotiate !== null) {
    const { minor, unknownOptions } = request.negotiate
    arrival.socket.write(negotiateProtocolVersion(minor, unknownOptions))
  }
  const isTokenAsked =
    tenant.useJit && request.options.jit !== null && jitRequest(request.options.jit) === 'on'
  const dialog = new LoginDialog(arrival.socket, arrival.rest)
  const authenticated = await services.authenticator.authenticate({
    dialog,
    tenant,
    role: identity.role,
    address: connection.address,
    source: sourceKey(connection.address),
    applicationName: request.settings.get('application_name') ?? '',
    isTokenAsked,
    isPrivate: arrival.tls !== null || isTrustedLoopback(connection, services),
    certificate: arrival.tls?.certificate ?? null,
    endAccess: (error) => connection.endAccess(error),
    warn: (text) => connection.session?.relay?.notify(noticeResponse(text)),
    onRefused: (reason) => services.counters.of(tenant.ref).refusals.count(reason),
  })
  await enter(connection, services, {
    tenant,
    identity,
    request,
    authenticated,
    settings: settingsOf(request, isTokenAsked, authenticated),
    tail: new LoginTail(arrival.socket, dialog.takeRest()),
  })
}

export interface Login {
  readonly tenant: Tenant
  readonly identity: Identity
  readonly request: StartupRequest
  readonly authenticated: Authenticated
  readonly settings: ReadonlyMap<string, string>
  readonly tail: LoginTail
}

async function enter(
  connection: ClientConnection,
  services: ClientServices,
  login: Login,
): Promise<void> {
  const session = new ClientSession(connection, services, login)
  try {
    connection.onAuthenticated(session)
    login.tail.transport.write(authenticationOk())
    await session.begin()
  } catch (error) {
    session.leave('refused')
    throw error
  }
}

async function findTenant(identity: Identity, services: ClientServices): Promise<Tenant> {
  const key = identity.by === 'ref' ? { ref: identity.ref } : { sniHostname: identity.sniHostname }
  const tenant = await services.tenants.find(key)
  if (tenant !== null) return tenant
  if (identity.by === 'sniHostname') throw new PoolerError('ENOIDENTIFIER')
  throw new PoolerError('ENOTFOUND', { values: { ref: identity.ref } })
}

/** Plain loopback counts as TLS for tokens where an operator says so, and only there. */
function isTrustedLoopback(connection: ClientConnection, services: ClientServices): boolean {
  return services.config.allowInsecureLoopbackTokens && isLoopback(connection.address)
}

/** Words that mark a person's servers; nobody else may wear them. */
const attributionMark = ' via latchkey'

function settingsOf(
  request: StartupRequest,
  isTokenAsked: boolean,
  authenticated: Authenticated,
): ReadonlyMap<string, string> {
  const settings = isTokenAsked ? request.settings : settingsWithJit(request)
  const name = settings.get('application_name')
  if (name === undefined || authenticated.person !== null) return settings
  if (!name.includes(attributionMark)) return settings
  return new Map(settings).set('application_name', name.replaceAll(attributionMark, ''))
}

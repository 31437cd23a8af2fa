// Operators at the Postgres ports: database `latchkey`, a user name without a project, SCRAM against the
// settings. Whoever they are, they get the console and nothing else.
import { randomBytes } from 'node:crypto'
import { type Clock, sleep } from '../../shared/clock.ts'
import { certificateHash } from '../../shared/crypto/channel-binding.ts'
import { scramIterationsUsual } from '../../shared/crypto/scram-keys.ts'
import { makeVerifier, type ScramVerifier } from '../../shared/crypto/scram-verifier.ts'
import { PoolerError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { isAllowed, isLoopback, sourceKey } from '../accept/address-filter.ts'
import type { AdminUser } from '../admin/admin-console.ts'
import { AuthThrottle } from '../auth/auth-throttle.ts'
import { MockVerifiers } from '../auth/mock-verifier.ts'
import { scramAuth } from '../auth/scram-auth.ts'
import type { Config } from '../config/settings.ts'
import { identifyTenant } from '../startup/identify-tenant.ts'
import type { StartupRequest } from '../startup/startup-parameters.ts'
import type { TenantCache } from '../tenant/tenant-cache.ts'
import type { Arrival } from './arrival.ts'
import type { ClientConnection } from './client-connection.ts'
import { LoginDialog } from './login-dialog.ts'

export const adminDatabase = 'latchkey'

/** What wrong secrets are counted under: no project's ref has a space. */
const throttleRef = 'admin console'
const refusalDelayMs = 500

export interface AdminLoginOptions {
  readonly config: Config
  readonly tenants: Pick<TenantCache, 'find'>
  readonly clock: Clock
}

/** Wrong secrets at this door, as workers tell each other of them. */
export interface OperatorThrottle {
  onWrong: ((source: string) => void) | null
  noteWrong(source: string): void
}

export class AdminLogin implements OperatorThrottle {
  onWrong: OperatorThrottle['onWrong'] = null
  readonly #options: AdminLoginOptions
  readonly #throttle: AuthThrottle
  readonly #mocks = new MockVerifiers(new Secret(randomBytes(32)))
  /** By user name; made at the first login, for the life of the process. */
  #verifiers: Promise<ReadonlyMap<string, ScramVerifier>> | null = null

  constructor(options: AdminLoginOptions) {
    this.#options = options
    this.#throttle = new AuthThrottle(options.clock)
  }

  noteWrong(source: string): void {
    this.#throttle.noteWrong(throttleRef, source)
  }

  /** True for a connection that is nobody's but the console's. */
  async isMeant(
    request: StartupRequest,
    arrival: Arrival,
    connection: ClientConnection,
  ): Promise<boolean> {
    const { config, tenants } = this.#options
    if (config.adminPassword === null && config.statsPassword === null) return false
    // A database that repeats the user counts as none; the console's user may have its name.
    const database = request.database ?? request.user
    if (database !== adminDatabase || request.options.reference !== null) return false
    if (request.user.includes('.')) return false
    const place = {
      serverName: arrival.tls?.serverName ?? null,
      poolerDomain: config.poolerDomain,
      listenerMode: connection.mode,
    }
    try {
      const identity = identifyTenant(request, place)
      if (identity.by === 'ref') return false
      const { sniHostname } = identity
      return (await tenants.find({ sniHostname }, sourceKey(connection.address))) === null
    } catch (error) {
      if (error instanceof PoolerError && error.code === 'ENOIDENTIFIER') return true
      throw error
    }
  }

  /** Throws PoolerError: EADDRNOTALLOWED, ESSLREQUIRED, ECIRCUITBREAKER, EWRONGPASSWORD, EPROTOCOL. */
  async authenticate(
    request: StartupRequest,
    arrival: Arrival,
    connection: ClientConnection,
  ): Promise<{ user: AdminUser; rest: Buffer }> {
    const { config, clock } = this.#options
    const { address, isProxied } = connection
    if (!isAllowed(config.adminAllowedNetworks, address)) {
      throw new PoolerError('EADDRNOTALLOWED', { values: { address, ref: adminDatabase } })
    }
    const isNear = isLoopback(address) && !isProxied
    if (arrival.tls === null && !isNear) {
      throw new PoolerError('ESSLREQUIRED', {
        values: { reason: 'the console takes no plain one' },
      })
    }
    const source = sourceKey(address)
    this.#refuseBlocked(source)
    this.#verifiers ??= verifiersOf(config)
    const known = (await this.#verifiers).get(request.user)
    const dialog = new LoginDialog(arrival.socket, arrival.rest)
    const certificate = arrival.tls?.certificate ?? null
    let arrivedMs = clock.monotonicMs()
    const verdict = await scramAuth(dialog, {
      verifier: known ?? this.#mocks.verifierFor(throttleRef, request.user, scramIterationsUsual),
      isRealRole: known !== undefined,
      channelBinding: certificate === null ? null : certificateHash(certificate),
      beforeJudging: () => {
        arrivedMs = clock.monotonicMs()
        this.#refuseBlocked(source)
      },
    })
    if (verdict === 'wrong') {
      this.noteWrong(source)
      this.onWrong?.(source)
      await sleep(clock, Math.max(0, refusalDelayMs - (clock.monotonicMs() - arrivedMs)))
      throw new PoolerError('EWRONGPASSWORD', { values: { user: request.user } })
    }
    arrival.socket.write(dialog.takeUnsent())
    const mayControl = request.user === config.adminUser && config.adminPassword !== null
    return { user: { name: request.user, mayControl, address }, rest: dialog.takeRest() }
  }

  #refuseBlocked(source: string): void {
    const seconds = this.#throttle.isBlocked(throttleRef, source)
    if (seconds !== null) throw new PoolerError('ECIRCUITBREAKER', { values: { seconds } })
  }
}

async function verifiersOf(config: Config): Promise<ReadonlyMap<string, ScramVerifier>> {
  const verifiers = new Map<string, ScramVerifier>()
  const { statsUser, statsPassword, adminUser, adminPassword } = config
  if (statsPassword !== null) verifiers.set(statsUser, await makeVerifier(statsPassword))
  if (adminPassword !== null) verifiers.set(adminUser, await makeVerifier(adminPassword))
  return verifiers
}

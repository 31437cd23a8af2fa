// Asks tenants' databases for verifiers: one lane for each tenant that is being asked, bounded over
// all of them.
import type { Tenant } from '../tenant/tenant.ts'
import type { AuthQueryAnswer } from './auth-query-answer.ts'
import { AuthQueryLane, type AuthQueryLaneOptions, notAsked } from './auth-query-lane.ts'

export interface AuthQueryOptions extends AuthQueryLaneOptions {
  /** Over all tenants; 200 unless given. */
  readonly connectionsMax?: number
}

/** Each is a connection of some database that its tenant would rather use for itself. */
const connectionsUsualMax = 200

export class AuthQuery {
  readonly #options: AuthQueryOptions
  readonly #lanes = new Map<string, AuthQueryLane>()

  constructor(options: AuthQueryOptions) {
    this.#options = options
  }

  /** Connections open or being opened, over all tenants. */
  get connectionCount(): number {
    return this.#lanes.size
  }

  /**
   * `source`, from sourceKey: whose login asks. Throws PoolerError: EUPSTREAM when the database cannot be reached, EAUTHPROVIDER when it can but
   * the query cannot be run, or too much is going on. Nobody's secret was wrong then.
   */
  async ask(tenant: Tenant, role: string, source: string): Promise<AuthQueryAnswer> {
    // A changed row may name another database or manager: it gets a connection of its own.
    const key = JSON.stringify([tenant.id, tenant.version])
    const lane = this.#lanes.get(key) ?? this.#newLane(key, tenant)
    return await lane.ask(role, source)
  }

  close(): void {
    for (const lane of this.#lanes.values()) lane.close()
  }

  #newLane(key: string, tenant: Tenant): AuthQueryLane {
    if (this.#lanes.size >= (this.#options.connectionsMax ?? connectionsUsualMax)) {
      const idle = [...this.#lanes.values()].find((lane) => lane.isIdle)
      if (idle === undefined) throw notAsked('too many databases are being asked at once')
      idle.close()
    }
    const lane = new AuthQueryLane(tenant, this.#options, () => {
      if (this.#lanes.get(key) === lane) this.#lanes.delete(key)
    })
    this.#lanes.set(key, lane)
    return lane
  }
}

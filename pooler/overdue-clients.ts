// Looks after the clients' time limits. Each is looked at once in `parts` calls, because to look at
// thousands in one turn takes milliseconds, for which every client waits.
import { PoolerError } from '../shared/errors.ts'
import type { Roster } from '../shared/roster.ts'
import type { ClientConnection } from './client/client-connection.ts'
import type { Config } from './config/settings.ts'
import { cancelIfOverdue, overdue } from './relay/overdue.ts'
import type { TenantCache } from './tenant/tenant-cache.ts'

export interface OverdueClientsOptions {
  readonly connections: Roster<ClientConnection>
  readonly tenants: Pick<TenantCache, 'peek'>
  readonly config: Config
  readonly parts: number
}

const movedDatabase = 'the database of the project has changed'

export class OverdueClients {
  readonly #options: OverdueClientsOptions
  #part = 0

  constructor(options: OverdueClientsOptions) {
    this.#options = options
  }

  /** `nowMs`: monotonic. */
  onTick(nowMs: number): void {
    const { connections, parts } = this.#options
    for (const connection of connections.share(this.#part, parts)) this.#look(connection, nowMs)
    this.#part = (this.#part + 1) % parts
  }

  #look({ session }: ClientConnection, nowMs: number): void {
    const { config, tenants } = this.#options
    if (session === null || session.relay === null) return
    const { relay } = session
    const tenant = tenants.peek(session.key.tenantRef)
    const clientIdleTimeoutMs = tenant?.clientIdleTimeoutMs || config.clientIdleTimeoutMs
    // Of thousands of clients: nothing is made for each.
    const error = overdue(relay, nowMs, config, clientIdleTimeoutMs)
    if (error !== null) relay.fail(error)
    else if (tenant !== null && session.isMisplacedIn(tenant) && relay.isAtRest)
      relay.fail(new PoolerError('ETERMINATED', { values: { reason: movedDatabase } }))
    else cancelIfOverdue(relay, nowMs, config)
  }
}

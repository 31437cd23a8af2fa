// What a change of a project means for those who are in it: nothing, as far as it can be had. New
// limits are read at the next use, at once for who waits and what is idle; servers that another
// database, host or password has outdated are replaced as they become free; only a project that ends
// takes its clients along.
import type { Clock } from '../shared/clock.ts'
import { PoolerError } from '../shared/errors.ts'
import type { ControlPlane } from './control-plane.ts'
import type { DataPlane } from './data-plane.ts'
import type { CounterBook } from './metrics/counter-book.ts'
import { isBanned, projectDeleted, type Tenant } from './tenant/tenant.ts'
import type { TenantChange } from './tenant/tenant-cache.ts'

export interface TenantChangeDeps {
  readonly control: Pick<ControlPlane, 'liveSessions'>
  readonly data: DataPlane
  readonly counters: CounterBook
  readonly clock: Clock
}

export function applyTenantChange({ ref, before, after }: TenantChange, deps: TenantChangeDeps) {
  const { data, counters, clock } = deps
  // Deleted and made anew under the same ref: nobody of the old one has a place in the new one.
  if (after === null || (before !== null && before.id !== after.id)) {
    endPeopleOf(ref, 'project deleted', deps)
    void data.endClientsOf(ref, deleted(ref))
    counters.forget(ref)
    return
  }
  if (after.ban !== null && isBanned(after, clock.wallMs())) {
    const { reason } = after.ban
    endPeopleOf(ref, 'project banned', deps)
    void data.endClientsOf(ref, new PoolerError('EBANNED', { values: { ref, reason } }))
    return
  }
  const isElsewhere = before !== null && isMoved(before, after)
  for (const { key, pool } of data.pools.entriesOf(ref)) {
    if (isElsewhere || (before !== null && !isSamePassword(before, after, key.role))) {
      pool.retireServers()
    }
    pool.onProjectChanged()
  }
  data.budgets.review(ref)
}

/** People first and by their own register: they and the record are told what ended their access. */
function endPeopleOf(ref: string, reason: string, { control }: TenantChangeDeps): void {
  const { liveSessions } = control
  for (const session of liveSessions.list(ref)) liveSessions.end(session, reason)
}

const deleted = (ref: string): PoolerError =>
  new PoolerError('ETERMINATED', { values: { reason: projectDeleted(ref) } })

const isMoved = (before: Tenant, after: Tenant): boolean =>
  before.dbHost !== after.dbHost ||
  before.dbPort !== after.dbPort ||
  before.upstreamTls !== after.upstreamTls ||
  before.upstreamCa !== after.upstreamCa ||
  before.dbDatabase !== after.dbDatabase

const isSamePassword = (before: Tenant, after: Tenant, role: string): boolean =>
  before.roles.get(role)?.password?.reveal() === after.roles.get(role)?.password?.reveal()

// Gives the console its hands: what operators may do to pools, clients and the process.
import { PoolerError } from '../shared/errors.ts'
import type { AdminControl, ShutdownWay } from './admin/admin-view.ts'
import type { DataPlane } from './data-plane.ts'
import type { Pool } from './pool/pool.ts'
import { isMeant, type PoolTarget } from './pool/pool-target.ts'
import type { TenantCache } from './tenant/tenant-cache.ts'

export interface AdminControlParts {
  readonly data: DataPlane
  readonly tenants: Pick<TenantCache, 'find'>
  readonly reload: () => Promise<void>
  readonly shutdown: (how: ShutdownWay) => void
  /** Monotonic ms of a wall time. */
  readonly monotonicOf: (wallMs: number) => number
}

export function adminControlOf(parts: AdminControlParts): AdminControl {
  const { data, tenants, reload, shutdown, monotonicOf } = parts
  const { holds } = data
  const poolsOf = (target: PoolTarget): Pool[] =>
    [...data.pools.entries()].filter(({ key }) => isMeant(target, key)).map(({ pool }) => pool)
  return {
    isTenant: async (ref) => (await tenants.find({ ref })) !== null,
    pause: (target) => {
      holds.pause(target)
      for (const pool of poolsOf(target)) pool.pause()
    },
    resume: (target) => {
      holds.resume(target)
      for (const { key, pool } of data.pools.entries()) if (!holds.isPaused(key)) pool.resume()
    },
    isEmpty: (target) => poolsOf(target).every((pool) => pool.slots === 0),
    isReplaced: (target, sinceMs) => {
      const since = monotonicOf(sinceMs)
      return poolsOf(target).every((pool) =>
        [...pool.servers].every(({ openedAtMs }) => openedAtMs > since),
      )
    },
    reconnect: (target) => {
      for (const pool of poolsOf(target)) pool.retireServers()
    },
    kill: async (target) => {
      for (const connection of [...data.connections]) {
        const key = connection.session?.key
        if (key !== undefined && isMeant(target, key)) connection.endAccess(ended())
      }
    },
    killClient: (id) => {
      const connection = [...data.connections].find((one) => one.id === id)
      connection?.endAccess(ended())
      return connection !== undefined
    },
    disable: (ref) => holds.disable(ref),
    enable: (ref) => holds.enable(ref),
    reload,
    shutdown,
  }
}

const ended = (): PoolerError =>
  new PoolerError('ETERMINATED', { values: { reason: 'an operator ended the connection' } })

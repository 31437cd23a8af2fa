// What operators may do to the pools and clients of this process.
import type { Clock } from '../shared/clock.ts'
import { PoolerError } from '../shared/errors.ts'
import type { PoolAct } from './admin/admin-view.ts'
import type { DataPlane } from './data-plane.ts'
import type { Pool } from './pool/pool.ts'
import { isMeant, type PoolTarget } from './pool/pool-target.ts'

export function poolActsOf(data: DataPlane, clock: Clock): (act: PoolAct) => boolean {
  const poolsOf = (target: PoolTarget): Pool[] =>
    [...data.pools.entries()].filter(({ key }) => isMeant(target, key)).map(({ pool }) => pool)
  return (act) => {
    switch (act.kind) {
      case 'reconnect':
        for (const pool of poolsOf(act.target)) pool.retireServers()
        return true
      case 'kill':
        for (const connection of [...data.connections]) {
          const key = connection.session?.key
          if (key !== undefined && isMeant(act.target, key)) connection.endAccess(ended())
        }
        return true
      case 'kill client': {
        const connection = [...data.connections].find(({ id }) => id === act.id)
        connection?.endAccess(ended())
        return connection !== undefined
      }
      case 'is empty':
        return poolsOf(act.target).every(({ isEmpty }) => isEmpty)
      case 'is replaced': {
        const sinceMs = clock.monotonicMs() - (clock.wallMs() - act.sinceMs)
        return poolsOf(act.target).every(({ servers }) =>
          [...servers].every(({ openedAtMs }) => openedAtMs > sinceMs),
        )
      }
    }
  }
}

const ended = (): PoolerError =>
  new PoolerError('ETERMINATED', { values: { reason: 'an operator ended the connection' } })

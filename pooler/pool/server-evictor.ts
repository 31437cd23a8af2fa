// Which idle servers generic-pool closes on its round: those that are gone, too old, or too long idle.
import type { Clock } from '../../shared/clock.ts'
import type { ServerConnection } from './server-connection.ts'

interface IdleMember {
  readonly obj: ServerConnection
}

interface EvictionConfig {
  readonly idleTimeoutMillis: number
}

/** generic-pool makes its evictor itself and gives it nothing, so the clock is closed over. */
export const serverEvictorBy = (clock: Clock) =>
  class ServerEvictor {
    evict(config: EvictionConfig, member: IdleMember): boolean {
      const server = member.obj
      const nowMs = clock.monotonicMs()
      if (!server.isUsable || server.isOver(nowMs)) return true
      return config.idleTimeoutMillis > 0 && nowMs - server.idleSinceMs > config.idleTimeoutMillis
    }
  }

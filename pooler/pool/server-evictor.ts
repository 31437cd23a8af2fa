// Which idle servers generic-pool closes on its round: those that are gone, too old, or too long idle
// and not among those that are kept open.
import type { Clock } from '../../shared/clock.ts'
import type { ServerConnection } from './server-connection.ts'

interface IdleMember {
  readonly obj: ServerConnection
}

interface EvictionConfig {
  readonly idleTimeoutMillis: number
}

/** generic-pool makes its evictor itself and gives it nothing, so the clock is closed over. */
export const serverEvictorBy = (clock: Clock, isSpare: () => boolean) =>
  class ServerEvictor {
    evict(config: EvictionConfig, member: IdleMember): boolean {
      const server = member.obj
      const nowMs = clock.monotonicMs()
      if (!server.isUsable || server.isOver(nowMs)) return true
      const idleMs = nowMs - server.idleSinceMs
      return config.idleTimeoutMillis > 0 && idleMs > config.idleTimeoutMillis && isSpare()
    }
  }

// For how long an idle server is kept where it can be handed on without a look at it.
import { expect, test } from 'vitest'
import type { ServerConnection } from '../../../pooler/pool/server-connection.ts'
import { WarmServers } from '../../../pooler/pool/warm-servers.ts'
import { ManualClock } from '../../support/manual-clock.ts'

test.each([
  [600_000, 30_000],
  [0, 30_000],
  [2000, 2000],
])('where idle servers are closed after %i ms, %i ms', (idleTimeoutMs, warmMs) => {
  const cold: ServerConnection[] = []
  const warm = new WarmServers({
    clock: new ManualClock(),
    idleTimeoutMs,
    onUnfit: () => {},
    onCold: (server) => cold.push(server),
  })
  const server = { idleSinceMs: 100, isOver: () => false } as unknown as ServerConnection
  warm.push(server)
  warm.onTick(100 + warmMs - 1)
  expect(cold).toEqual([])
  warm.onTick(100 + warmMs)
  expect(cold).toEqual([server])
})

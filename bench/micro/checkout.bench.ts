import { bench, describe } from 'vitest'
import { WaitingLine } from '../../pooler/pool/waiting-line.ts'
import type { ServerWaiter } from '../../pooler/relay/server-source.ts'
import { systemClock } from '../../shared/clock.ts'
import { nextClientId } from '../../shared/ids.ts'

const waiter = (): ServerWaiter => ({
  clientId: nextClientId(),
  person: null,
  asides: null,
  onServer() {},
  onNoServer() {},
})

describe('a client that waits for a server', () => {
  const line = new WaitingLine({
    waitersMax: 1000,
    clock: systemClock,
    onExpired() {},
  })
  // Forty-four wait at any time: 64 clients on 20 servers.
  for (let index = 0; index < 44; index++) line.add(waiter(), 0, 60_000)
  let next = waiter()
  bench('comes to the line, and the first one goes', () => {
    line.add(next, 0, 60_000)
    const first = line.next(true)
    if (first === null) throw new Error('nobody waits')
    next = first.waiter
  })
})

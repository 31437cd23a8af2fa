// Whom a failure to open a server keeps waiting: all pools of the upstream, or the pool alone, and until when.
import { expect, test } from 'vitest'
import { ConnectBackoff } from '../../../pooler/pool/connect-backoff.ts'
import {
  type ServerOpenError,
  saidByPostgres,
  unreachable,
} from '../../../pooler/pool/server-open-error.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { encodeError, PostgresError } from '../../../shared/protocol/error-response.ts'
import { headerBytes } from '../../../shared/protocol/message-types.ts'
import { CapturedLog } from '../../support/captured-log.ts'
import { eventually } from '../../support/eventually.ts'
import { FakeServers } from '../../support/fake-servers.ts'
import { firstServerOf, makePool } from '../../support/make-pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const target = { ref: 'ref', role: 'app' }

function said(sqlState: string, routine: string | null, message = 'no'): ServerOpenError {
  const fields = {
    severity: 'FATAL',
    sqlState,
    message,
    detail: null,
    hint: null,
    routine,
  } as const
  const bytes = encodeError(fields)
  return saidByPostgres(target, new PostgresError(bytes.subarray(headerBytes)))
}

const full = 'sorry, too many clients already'
const streams = 'number of requested standby connections exceeds "max_wal_senders" (currently 10)'

test.each([
  ['a fault of the socket', unreachable('transient', target, 'connection refused'), 'all'],
  ['a Postgres that starts', said('57P03', 'ProcessStartupPacket'), 'all'],
  ['a Postgres without connections', said('53300', 'InitProcess', full), 'all'],
  ['a role over its limit', said('53300', 'InitializeSessionUserId'), 'itself'],
  ['a database over its limit', said('53300', 'CheckMyDatabase'), 'itself'],
  ['streams over their limit', said('53300', 'InitProcess', streams), 'itself'],
  ['no connections, said by somebody else', said('53300', null), 'itself'],
  ['no memory', said('53200', 'AllocSetAlloc'), 'itself'],
  ['a proxy that finds no server', said('08006', null), 'itself'],
])('%s keeps %s waiting', async (_name, fault, whom) => {
  const clock = new ManualClock()
  const shared = new ConnectBackoff(clock)
  const servers = new FakeServers({ clock, openMs: () => 0, closeMs: () => 0, fault: () => fault })
  const pool = makePool({ clock, upstream: servers.upstream(), upstreamBackoff: () => shared })
  const waiting = firstServerOf(pool).catch(() => {})
  await eventually(() => {
    clock.advance(1)
    return pool.counters.serverOpenFailures > 0
  })
  expect(pool.backoffMs).toBeGreaterThan(0)
  expect(shared.failures).toBe(whom === 'all' ? 1 : 0)
  void waiting
})

test('a pool that is closed while it waits asks for nothing any more', async () => {
  const clock = new ManualClock()
  const fault = () => said('53300', 'InitializeSessionUserId')
  const servers = new FakeServers({ clock, openMs: () => 0, closeMs: () => 0, fault })
  const captured = new CapturedLog()
  const pool = makePool({ clock, upstream: servers.upstream(), log: captured.log })
  const refused = firstServerOf(pool).catch((refusal: unknown) => refusal)
  await eventually(() => {
    clock.advance(1)
    return pool.backoffMs > 0
  })
  const refusal = new PoolerError('ETERMINATED', { values: { reason: 'test' } })
  await pool.close(refusal)
  expect(await refused).toBe(refusal)
  for (let left = 100; left > 0; left--) {
    clock.advance(100)
    await Promise.resolve()
  }
  expect(captured.with({ level: 'error' })).toEqual([])
})

// Cancels that wait for their turn: whoever asked for one does not wait for it for ever.
import { expect, test } from 'vitest'
import { placeOf } from '../../../pooler/pool/server-place.ts'
import { Upstream } from '../../../pooler/pool/upstream.ts'
import { eventually } from '../../support/eventually.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { ScriptedServer } from '../../support/scripted-server.ts'
import { finish, ignoreAll } from '../../support/scripted-steps.ts'
import { makeTenant } from '../../support/tenants.ts'

/** What one project may have beside its servers. */
const share = 25

test('one whose turn comes too late is not sent', async () => {
  const clock = new ManualClock()
  const silent = await ScriptedServer.start(() => [ignoreAll(), finish()])
  const tenant = makeTenant({ dbPort: silent.port })
  const upstream = new Upstream({
    tenant: () => tenant,
    role: 'app',
    database: 'db',
    credentials: () => null,
    serverConnectTimeoutMs: 1000,
    serverLoginTimeoutMs: 6000,
    globalCa: null,
    clock,
  })
  const cancel = () =>
    upstream.cancel({
      place: placeOf('127.0.0.1', tenant, null),
      processId: 7,
      cancelSecret: Buffer.alloc(4),
    })
  const first = Array.from({ length: share }, cancel)
  await eventually(() => silent.connections.length === share)
  const late = cancel()
  clock.advance(6000)
  await Promise.all([...first, late])
  expect(silent.connections).toHaveLength(share)
  await silent.stop()
})

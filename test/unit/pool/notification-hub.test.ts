import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { ConnectBackoff } from '../../../pooler/pool/connect-backoff.ts'
import { NotificationHub } from '../../../pooler/pool/notification-hub.ts'
import { ServerConnection } from '../../../pooler/pool/server-connection.ts'
import { placeOf } from '../../../pooler/pool/server-place.ts'
import type { NotificationListener } from '../../../pooler/relay/notification-source.ts'
import { mutedSink } from '../../../pooler/relay/server-sink.ts'
import { openStreamTransport } from '../../../pooler/relay/stream-transport.ts'
import { nullLog } from '../../../shared/log.ts'
import { eventually } from '../../support/eventually.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import * as raw from '../../support/raw-messages.ts'
import { MessageCutter } from '../../support/raw-replies.ts'
import { makeTenant } from '../../support/tenants.ts'

/** A server that answers each Query and Sync, unless it is told to be silent. */
class FakeListener extends Duplex {
  readonly queries: string[] = []
  readonly #cutter = new MessageCutter()
  isSilent = false
  syncs = 0

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#cutter.push(chunk)
    for (let next = this.#cutter.next(); next !== null; next = this.#cutter.next()) {
      if (next.type === 'Q')
        this.queries.push(next.body.toString('latin1', 0, next.body.length - 1))
      if (next.type === 'S') this.syncs++
      if (this.isSilent || next.type === 'X') continue
      const reply = next.type === 'Q' ? [raw.commandComplete('LISTEN')] : []
      setImmediate(() => this.push(Buffer.concat([...reply, raw.readyForQuery('I')])))
    }
    done()
  }

  override _final(done: () => void): void {
    this.push(null)
    done()
  }
}

class Heard implements NotificationListener {
  readonly events: string[] = []

  onShared({ channel }: { channel: string }): void {
    if (channel === 'fault') throw new Error('a bug')
    this.events.push(channel)
  }

  onJoined(): void {
    this.events.push('joined')
  }

  onMark(): void {
    this.events.push('mark')
  }

  onLost(): void {
    this.events.push('lost')
  }

  onGap(): void {
    this.events.push('gap')
  }

  onFault(): void {
    this.events.push('fault')
  }
}

function world() {
  const clock = new ManualClock()
  const upstreamBackoff = new ConnectBackoff(clock)
  const opened: FakeListener[] = []
  let open = 0
  const hub = new NotificationHub({
    upstream: {
      listen: async (use) => {
        const socket = new FakeListener()
        opened.push(socket)
        const server = new ServerConnection({
          socket: socket as unknown as Socket,
          openTransport: openStreamTransport,
          parameters: new Map(),
          processId: 1,
          cancelSecret: Buffer.alloc(4),
          place: placeOf('127.0.0.1', makeTenant(), null),
          sink: mutedSink,
          clock,
          retireAtMs: Number.POSITIVE_INFINITY,
        })
        open++
        try {
          await use(server)
        } finally {
          await server.close('retired')
          open--
        }
      },
    },
    upstreamBackoff: () => upstreamBackoff,
    onUpstreamClosing: () => {},
    clock,
    log: nullLog,
    random: () => 0.5,
  })
  const tick = (ms: number) => {
    clock.advance(ms)
    hub.onTick(clock.monotonicMs())
  }
  return { hub, clock, opened, tick, openCount: () => open }
}

test('a connection is opened for the first listener, and closed a minute after the last', async () => {
  const { hub, opened, tick, openCount } = world()
  const one = new Heard()
  expect(hub.join(one, new Set(['a', 'b "q"']))).toBe('later')
  await eventually(() => one.events.includes('joined'))
  expect(opened[0]?.queries).toEqual([`LISTEN "${hub.markChannel}";LISTEN "a";LISTEN "b ""q"""`])
  const other = new Heard()
  expect(hub.join(other, new Set(['a']))).toBe('joined')
  hub.leave(one, ['a', 'b "q"'])
  await eventually(() => opened[0]?.queries.length === 2)
  expect(opened[0]?.queries[1]).toBe('UNLISTEN "b ""q"""')
  hub.leave(other, ['a'])
  await eventually(() => opened[0]?.queries.length === 3)
  expect([hub.clients, hub.channels, hub.isConnected]).toEqual([0, 0, true])
  await eventually(() => {
    tick(30_000)
    return !hub.isConnected
  })
  await eventually(() => openCount() === 0)
  expect(opened).toHaveLength(1)
})

test('one that is silent is asked for a sign of life, and replaced when there is none', async () => {
  const { hub, opened, tick } = world()
  const one = new Heard()
  hub.join(one, new Set(['a']))
  await eventually(() => one.events.includes('joined'))
  tick(31_000)
  await eventually(() => opened[0]?.syncs === 1)
  const [first] = opened as [FakeListener]
  // Behind the answer.
  setImmediate(() => first.push(raw.notificationResponse(7, 'a', '')))
  await eventually(() => one.events.includes('a'))
  first.isSilent = true
  tick(31_000)
  await eventually(() => first.syncs === 2)
  tick(11_000)
  await eventually(() => opened.length === 2)
  await eventually(() => one.events.includes('gap'))
  expect(opened[1]?.queries[0]).toContain('LISTEN "a"')
  await hub.close()
})

test('a fault in one listener is its own, and all others are told', async () => {
  const { hub, opened } = world()
  const [one, other] = [new Heard(), new Heard()]
  for (const each of [one, other]) hub.join(each, new Set(['fault', 'a']))
  await eventually(() => one.events.includes('joined'))
  opened[0]?.push(raw.notificationResponse(7, 'fault', ''))
  opened[0]?.push(raw.notificationResponse(7, 'a', ''))
  await eventually(() => other.events.includes('a'))
  expect(one.events).toEqual(['joined', 'fault', 'a'])
  expect(other.events).toEqual(['joined', 'fault', 'a'])
  await hub.close()
})

test('marks reach whoever announced them, once; a lost connection settles those that are out', async () => {
  const { hub, opened } = world()
  const one = new Heard()
  hub.join(one, new Set(['a', hub.markChannel]))
  await eventually(() => one.events.includes('joined'))
  const [first, second] = ['1'.repeat(32), '2'.repeat(32)] as const
  expect(hub.expect(one, first)).toBe(true)
  for (const mark of [second, first, first]) {
    opened[0]?.push(raw.notificationResponse(7, hub.markChannel, mark))
  }
  opened[0]?.push(raw.notificationResponse(7, 'a', ''))
  await eventually(() => one.events.includes('a'))
  expect(one.events).toEqual(['joined', 'mark', 'a'])
  expect(hub.expect(one, second)).toBe(true)
  opened[0]?.destroy()
  await eventually(() => one.events.includes('gap'))
  expect(one.events).toEqual(['joined', 'mark', 'a', 'lost', 'gap', 'mark'])
  // Whoever listens to the marks' channel as well does not take it along.
  hub.leave(one, ['a', hub.markChannel])
  await eventually(() => opened[1]?.queries.length === 2)
  expect(opened[1]?.queries[1]).toBe('UNLISTEN "a"')
  await hub.close()
})

test('channels beyond the limit are refused whole, and a closed hub takes nobody', async () => {
  const { hub } = world()
  const many = new Set(Array.from({ length: 5000 }, (_, index) => `c${index}`))
  expect(hub.join(new Heard(), many)).toBe('later')
  expect(hub.join(new Heard(), new Set(['one more']))).toBe('refused')
  expect(hub.channels).toBe(5000)
  await hub.close()
  expect(hub.join(new Heard(), new Set(['c1']))).toBe('refused')
})

test('parked, it closes its connection when nobody waits for it, and listens again afterwards', async () => {
  const { hub, opened, openCount } = world()
  const one = new Heard()
  hub.join(one, new Set(['a']))
  // Its client keeps a server until it has joined: that comes first.
  hub.park()
  expect(hub.isAtRest).toBe(false)
  await eventually(() => one.events.includes('joined'))
  await eventually(() => hub.isAtRest)
  expect([openCount(), hub.isConnected, hub.clients]).toEqual([0, false, 1])
  // A further client moves while it is parked, and nobody else is kept from their rest for long.
  const other = new Heard()
  hub.join(other, new Set(['b']))
  await eventually(() => other.events.includes('joined'))
  const mark = '1'.repeat(32)
  await eventually(() => hub.isAtRest)
  expect(hub.expect(other, mark)).toBe(false)
  await eventually(() => other.events.filter((event) => event === 'joined').length === 2)
  await eventually(() => hub.isAtRest)
  hub.unpark()
  await eventually(() => hub.isConnected && opened.at(-1)?.queries.length === 1)
  expect(opened.at(-1)?.queries[0]).toContain('LISTEN "a";LISTEN "b"')
  await hub.close()
  expect(openCount()).toBe(0)
})

test('a mark that is on its way keeps a parked connection until it has come', async () => {
  const { hub, opened } = world()
  const one = new Heard()
  hub.join(one, new Set(['a']))
  await eventually(() => one.events.includes('joined'))
  const mark = '1'.repeat(32)
  expect(hub.expect(one, mark)).toBe(true)
  hub.park()
  expect(hub.isConnected).toBe(true)
  opened[0]?.push(raw.notificationResponse(7, hub.markChannel, mark))
  await eventually(() => hub.isAtRest)
  expect(one.events).toEqual(['joined', 'mark', 'lost'])
  await hub.close()
})

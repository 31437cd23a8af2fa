// Messages by the hundred thousand that ask for next to nothing: each is answered, in order, nobody
// else is forgotten meanwhile, and who does not read the answers is not read either.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PooledPostgres, type Port } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import * as raw from '../support/raw-messages.ts'
import { rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
beforeAll(async () => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 2 })
})
afterAll(() => pooled.stop())

const ports: readonly Port[] = ['transaction', 'session']
const times = (count: number, ...messages: Buffer[]): Buffer => {
  const one = Buffer.concat(messages)
  return Buffer.alloc(one.length * count, one)
}
const fails = raw.parse('', 'selec')
const nobody = raw.closeMessage('portal', 'nobody')

/** Name, what is sent behind `begin` or on its own, and the answers to it. */
const storms: readonly [string, Buffer, string][] = [
  ['Syncs', times(100_000, raw.sync()), 'Z'.repeat(100_000)],
  ['Flushes', Buffer.concat([times(200_000, raw.flush()), raw.sync()]), 'Z'],
  ['Syncs and Flushes', times(50_000, raw.flush(), raw.sync()), 'Z'.repeat(50_000)],
  ['copy data of no copy', Buffer.concat([times(200_000, raw.copyData('')), raw.sync()]), 'Z'],
  ['empty queries', times(20_000, raw.query('')), 'IZ'.repeat(20_000)],
  ['Closes of nothing', times(20_000, nobody, raw.sync()), '3Z'.repeat(20_000)],
  [
    'Closes in one batch',
    Buffer.concat([times(100_000, nobody), raw.sync()]),
    `${'3'.repeat(100_000)}Z`,
  ],
  [
    'queries that are skipped',
    Buffer.concat([fails, times(50_000, raw.query('select 1')), raw.sync(), raw.query('')]),
    'EZIZ',
  ],
]

describe.each(ports)('%s port', (port) => {
  test.each(storms)('%s', async (name, bytes, answers) => {
    for (const isInTransaction of [false, true]) {
      // The next Query of a failed transaction would be an error.
      if (isInTransaction && answers.startsWith('E')) continue
      const client = await pooled.client(port)
      const other = await pooled.client(port)
      if (isInTransaction) await client.query('begin')
      if (isInTransaction) await client.untilReady()
      const sent = client.send(bytes)
      await other.query("select 'meanwhile'")
      expect(rowsOf(await other.untilReady())).toEqual([['meanwhile']])
      const count = answers.split('Z').length - 1
      const told = typesOf(await client.untilReadies(count))
      expect(told === answers, `${name}: ${told.length} answers`).toBe(true)
      await sent
      await client.query('select 1')
      expect(typesOf(await client.untilReady())).toBe('TDCZ')
      client.close()
      other.close()
    }
  })

  test('who sends Syncs and does not read is not read either', async () => {
    const client = await pooled.client(port)
    client.pauseReading()
    const bytes = times(8_000_000, raw.sync())
    const before = readOf()
    void client.send(bytes)
    let last = -1
    // A full second without a byte is no measure of speed.
    const isStill = (): boolean => {
      const [before, now] = [last, readOf()]
      last = now
      return before === now
    }
    await eventually(isStill, { pollMs: 1000, timeoutMs: 60_000 })
    expect(readOf() - before).toBeLessThan(bytes.length)
    expect(untaken()).toBeLessThan(2 * 1024 * 1024)
    client.close()
  })
})

const relays = () => [...pooled.pooler.plane.connections].map(({ session }) => session?.relay)
const readOf = (): number => relays().reduce((sum, relay) => sum + (relay?.bytesFromClient ?? 0), 0)
const untaken = (): number =>
  relays().reduce((sum, relay) => sum + (relay?.transport.untakenBytes ?? 0), 0)

// CLIENT_IDLE_TIMEOUT_MS and CLIENT_IDLE_IN_TRANSACTION_TIMEOUT_MS: who counts as idle, and what is said.
import { afterEach, describe, expect, test } from 'vitest'
import type { Config } from '../../pooler/config/settings.ts'
import { PooledPostgres } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields, typesOf } from '../support/raw-replies.ts'

const limitMs = 500

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (config: Partial<Config>): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 3, config })
  await pooled.postgres.query('create table kit (n int)', undefined, pooled.database)
  await pooled.postgres.query('grant all on kit to public', undefined, pooled.database)
}

const copies = (...rest: Buffer[]) =>
  Buffer.concat([raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute(), ...rest])

/** The last error that the client is told before its connection ends. */
const farewell = async (client: RawClient): Promise<unknown> => {
  const error = (await client.readAll()).findLast(({ type }) => type === 'E')
  const fields = errorFields(error?.body ?? Buffer.alloc(0))
  return { S: fields.S, C: fields.C, M: fields.M }
}

describe('of a client in a transaction', () => {
  const tooLong = {
    S: 'FATAL',
    C: '25P03',
    M: `(EIDLEINTRANSACTION) transaction was idle for longer than ${limitMs} ms`,
  }
  const batch = (...end: Buffer[]) =>
    Buffer.concat([raw.parse('', 'select pg_sleep(2)'), raw.bind(), raw.execute(), ...end])

  test.each([
    ['one that was begun', raw.query('begin')],
    ['one that failed', raw.query('begin; select 1/0')],
    ['a batch without its Sync', Buffer.concat([raw.parse('', 'select 1'), raw.flush()])],
    ['a batch that the server was not asked to answer', raw.parse('', 'select 1')],
    ['copy data that do not go on', raw.query('copy kit from stdin')],
    ['one whose end has no Sync', copies(raw.flush(), raw.copyData('1\n'), raw.copyDone())],
  ])('ends it: %s', async (_what, messages) => {
    await start({ clientIdleInTransactionTimeoutMs: limitMs })
    const client = await pooled.client('transaction')
    await client.send(messages)
    expect(await farewell(client)).toEqual(tooLong)
  })

  test('is not for one that waits for a copy that it has asked for by Flush', async () => {
    await start({ clientIdleInTransactionTimeoutMs: limitMs })
    const client = await pooled.client('transaction')
    const holder = await RawClient.loggedIn(pooled.direct())
    await holder.query('begin; lock table kit')
    await holder.untilReady()
    const witness = await pooled.client('transaction')
    await client.send(copies(raw.copyData('1\n'), raw.copyDone(), raw.flush()))
    await witness.query('begin')
    expect(await farewell(witness)).toEqual(tooLong)
    holder.close()
    expect(typesOf(await client.untilType('C'))).toBe('12GC')
  })

  test('is not for one whose copy has failed', async () => {
    await start({ clientIdleInTransactionTimeoutMs: limitMs })
    const client = await pooled.client('session')
    await client.send(copies(raw.sync()))
    await client.untilType('G')
    await client.send(Buffer.concat([raw.copyData('bad\n'), raw.copyDone(), raw.sync()]))
    expect(typesOf(await client.untilReady())).toBe('EZ')
    const witness = await pooled.client('transaction')
    await witness.query('begin')
    expect(await farewell(witness)).toEqual(tooLong)
    expect(await pooled.value(client, 'select 1')).toBe('1')
  })

  test('is not for one that waits for its replies, nor for one without a transaction', async () => {
    await start({ clientIdleInTransactionTimeoutMs: limitMs })
    const idle = await pooled.client('transaction')
    const [one, other] = [await pooled.client('transaction'), await pooled.client('transaction')]
    await one.send(batch(raw.flush()))
    await other.send(raw.query('select pg_sleep(2)'))
    expect(typesOf(await one.untilType('C'))).toBe('12DC')
    await one.send(raw.sync())
    expect(typesOf(await one.untilReady())).toBe('Z')
    expect(typesOf(await other.untilReady())).toBe('TDCZ')
    expect(await pooled.value(idle, 'select 1')).toBe('1')
  })
})

test('a client that does nothing is ended', async () => {
  await start({ clientIdleTimeoutMs: limitMs })
  const client = await pooled.client('transaction')
  await client.query('select 1')
  expect(await farewell(client)).toEqual({
    S: 'FATAL',
    C: '57P05',
    M: `(EIDLETIMEOUT) connection was idle for longer than ${limitMs} ms`,
  })
})

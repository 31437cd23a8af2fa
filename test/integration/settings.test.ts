// Transaction mode: settings follow their client over servers, and nothing of one client shows to
// another. One server for two clients makes each statement a change of hands.
import { afterEach, describe, expect, test } from 'vitest'
import { PooledPostgres, type PooledPostgresOptions } from '../support/pooled-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { cstringsOf, rowsOf, typesOf } from '../support/raw-replies.ts'

let pooled: PooledPostgres
afterEach(() => pooled.stop())

const start = async (options: PooledPostgresOptions = {}): Promise<void> => {
  pooled = await PooledPostgres.start(sharedPostgres(), { poolSize: 1, ...options })
}

async function run(client: RawClient, sql: string): Promise<raw.RawMessage[]> {
  await client.query(sql)
  return client.untilReady()
}

const show = (client: RawClient, name: string) =>
  pooled.value(client, `select current_setting('${name}', true)`)

/** `name=value` of the reports among these messages. */
const reportsIn = (replies: readonly raw.RawMessage[]) =>
  replies.filter(({ type }) => type === 'S').map(({ body }) => cstringsOf(body).join('='))

describe('startup settings', () => {
  test('hold on whatever server one gets, and are no other client’s', async () => {
    await start()
    const settings = {
      TimeZone: 'Asia/Tokyo',
      DateStyle: 'German',
      IntervalStyle: 'iso_8601',
      application_name: 'of one',
      search_path: 'pg_catalog, "odd name"',
      extra_float_digits: '0',
      statement_timeout: '123s',
      options: '-c work_mem=1MB -c app.note=hi\\ there',
    }
    const one = await pooled.client('transaction', { settings })
    const other = await pooled.client('transaction', { settings: { TimeZone: 'America/Lima' } })
    const plain = await pooled.client('transaction')
    const usual = new Map<string, string | null>()
    const names = [
      ...Object.keys(settings).filter((name) => name !== 'options'),
      'work_mem',
      'app.note',
    ]
    for (const name of names) usual.set(name, await show(plain, name))
    for (let round = 0; round < 3; round += 1) {
      expect(await show(one, 'TimeZone')).toBe('Asia/Tokyo')
      expect(await show(other, 'TimeZone')).toBe('America/Lima')
      expect(await show(one, 'DateStyle')).toBe('German, DMY')
      expect(await show(one, 'IntervalStyle')).toBe('iso_8601')
      expect(await show(one, 'application_name')).toBe('of one')
      expect(await show(one, 'search_path')).toBe('pg_catalog, "odd name"')
      for (const name of names) {
        // A custom setting that was there once reads as empty on that server.
        expect((await show(plain, name)) ?? '', name).toBe(usual.get(name) ?? '')
      }
      expect(await show(one, 'extra_float_digits')).toBe('0')
      expect(await show(one, 'statement_timeout')).toBe('123s')
      expect(await show(one, 'work_mem')).toBe('1MB')
      expect(await show(one, 'app.note')).toBe('hi there')
      expect(await show(other, 'application_name')).toBe('')
      expect(await show(other, 'work_mem')).not.toBe('1MB')
    }
  })

  test('are told in the spelling of the server', async () => {
    await start()
    const settings = { timezone: 'utc', datestyle: 'iso', client_encoding: 'utf-8' }
    for (let round = 0; round < 2; round += 1) {
      const { login } = await pooled.login('transaction', { settings })
      expect(login.parameters.get('TimeZone')).toBe('UTC')
      expect(login.parameters.get('DateStyle')).toBe('ISO, MDY')
      expect(login.parameters.get('client_encoding')).toBe('UTF8')
    }
  })

  test.each(['transaction', 'session'] as const)(
    'that Postgres refuses are a FATAL of their own at the %s port, and harm nobody',
    async (port) => {
      await start()
      for (const [settings, sqlState] of [
        [{ TimeZone: 'Nowhere/Land' }, '22023'],
        [{ no_such_setting: '1' }, '42704'],
        [{ extra_float_digits: 'many' }, '22023'],
        [{ statement_timeout: '-5' }, '22023'],
        [{ application_name: 'good', work_mem: '1 elephant' }, '22023'],
      ] as const) {
        await expect(pooled.client(port, { settings })).rejects.toMatchObject({
          fields: { S: 'FATAL', C: sqlState },
        })
      }
      const next = await pooled.client(port)
      expect(await show(next, 'application_name')).toBe('')
      expect((await pooled.backends()).length).toBe(1)
    },
  )

  test('of one client in another encoding change nobody else’s bytes', async () => {
    await start()
    const latin = await pooled.client('transaction', { settings: { client_encoding: 'LATIN1' } })
    const utf = await pooled.client('transaction')
    for (let round = 0; round < 3; round += 1) {
      await latin.send(raw.query(Buffer.from("select 'caf\u00e9'", 'latin1')))
      const replies = await latin.untilReady()
      expect(replies[1]?.body.subarray(6)).toEqual(Buffer.from('caf\u00e9', 'latin1'))
      expect(await pooled.value(utf, "select 'caf\u00e9'")).toBe('caf\u00e9')
    }
  })
})

describe('a SET', () => {
  test.each([
    ['that is reported', 'timezone', 'Asia/Tokyo'],
    ['of the application’s name', 'application_name', 'set by one'],
    ['of the search path', 'search_path', ''],
  ])('%s follows its client and shows to nobody else', async (_what, name, value) => {
    await start()
    const one = await pooled.client('transaction')
    const other = await pooled.client('transaction')
    const usual = await show(other, name)
    await run(one, `set ${name} to '${value}'`)
    for (let round = 0; round < 2; round += 1) {
      expect((await show(other, name)) ?? '').toBe(usual ?? '')
      expect(await show(one, name)).toBe(name === 'search_path' ? '""' : value)
    }
  })

  test.each([
    ['that is not reported', 'statement_timeout', '4711s'],
    ['of a custom setting', 'app.user', '42'],
    ['of a role', 'role', 'pg_monitor'],
  ])('%s shows to nobody else', async (_what, name, value) => {
    await start()
    await pooled.postgres.query(`grant pg_monitor to "${pooled.role}"`)
    const one = await pooled.client('transaction')
    const other = await pooled.client('transaction')
    const usual = await show(other, name)
    await run(one, `set ${name} to '${value}'`)
    expect((await show(other, name)) ?? '').toBe(usual ?? '')
    expect(await pooled.value(other, 'select current_user')).toBe(pooled.role)
  })

  test('tells its client once, in order, and not others', async () => {
    await start()
    const one = await pooled.client('transaction')
    const other = await pooled.client('transaction')
    const replies = await run(one, "set timezone to 'Asia/Tokyo'")
    expect(typesOf(replies)).toBe('CSZ')
    expect(reportsIn(replies)).toEqual(['TimeZone=Asia/Tokyo'])
    expect(typesOf(await run(other, 'select 1'))).toBe('TDCZ')
    expect(typesOf(await run(one, 'select 1'))).toBe('TDCZ')
  })

  test('of the seed, which no RESET takes away, is in nobody’s way', async () => {
    await start()
    const one = await pooled.client('transaction')
    const other = await pooled.client('transaction')
    for (const sql of ["select set_config('seed', '0.5', false)", 'set seed to 0.5']) {
      expect(typesOf(await run(one, sql))).toMatch(/CZ$/)
      for (const client of [other, one]) expect(typesOf(await run(client, 'select 1'))).toBe('TDCZ')
    }
  })

  test('that is rolled back is gone for its client as well', async () => {
    await start()
    const one = await pooled.client('transaction')
    const other = await pooled.client('transaction')
    const usual = await show(one, 'timezone')
    const replies = await run(one, "begin; set timezone to 'Asia/Tokyo'; rollback")
    expect(reportsIn(replies)).toEqual([])
    await run(one, 'begin')
    await run(one, "set timezone to 'Asia/Tokyo'; set statement_timeout to '4711s'")
    await run(one, 'rollback')
    await run(other, 'select 1')
    expect(await show(one, 'timezone')).toBe(usual)
    expect(await show(one, 'statement_timeout')).toBe('0')
  })

  test('with LOCAL ends with its transaction', async () => {
    await start()
    const one = await pooled.client('transaction')
    const other = await pooled.client('transaction')
    const usual = await show(one, 'timezone')
    await run(one, "begin; set local timezone to 'Asia/Tokyo'; set local work_mem to '2MB'")
    expect(await show(one, 'work_mem')).toBe('2MB')
    await run(one, 'commit')
    expect(await show(other, 'timezone')).toBe(usual)
    expect(await show(one, 'timezone')).toBe(usual)
    expect(await show(one, 'work_mem')).not.toBe('2MB')
  })
})

describe('RESET', () => {
  const settings = { TimeZone: 'Asia/Tokyo', extra_float_digits: '0', application_name: 'mine' }

  test.each(['reset all', 'discard all', 'reset timezone; reset extra_float_digits'])(
    '%s brings back what the client started with, on any server',
    async (sql) => {
      await start()
      const one = await pooled.client('transaction', { settings })
      const other = await pooled.client('transaction')
      for (let round = 0; round < 2; round += 1) {
        await run(one, "set timezone to 'UTC'; set extra_float_digits to 2")
        await run(one, sql)
        for (const client of [one, other, one]) {
          const isOne = client === one
          expect((await show(client, 'timezone')) === 'Asia/Tokyo', `${isOne}`).toBe(isOne)
          expect(await show(client, 'extra_float_digits')).toBe(isOne ? '0' : '1')
          expect(await show(client, 'application_name')).toBe(isOne ? 'mine' : '')
        }
      }
    },
  )

  test('of the one setting that differs does not hold up what follows', async () => {
    await start()
    const one = await pooled.client('transaction', { settings: { TimeZone: 'Asia/Tokyo' } })
    for (let round = 0; round < 3; round += 1) {
      await run(one, 'reset timezone')
      expect(await show(one, 'timezone')).toBe('Asia/Tokyo')
    }
    await run(one, 'discard all')
    expect(await show(one, 'timezone')).toBe('Asia/Tokyo')
  })

  test('tells the client what holds in the end', async () => {
    await start()
    const one = await pooled.client('transaction', { settings: { TimeZone: 'Asia/Tokyo' } })
    await run(one, 'reset timezone')
    await run(one, 'select 1')
    const told = one.received.filter(({ type }) => type === 'S')
    expect(
      reportsIn(told)
        .filter((text) => text.startsWith('TimeZone'))
        .at(-1),
    ).toBe('TimeZone=Asia/Tokyo')
  })

  test('in a transaction, rolled back or not, leaves the client where it says', async () => {
    await start()
    const one = await pooled.client('transaction', { settings })
    await run(one, "set timezone to 'UTC'")
    await run(one, 'begin')
    await run(one, 'reset timezone')
    expect(await show(one, 'timezone')).toBe('Asia/Tokyo')
    await run(one, 'rollback')
    expect(await show(one, 'timezone')).toBe('UTC')
    await run(one, 'begin')
    await run(one, 'reset timezone')
    await run(one, 'commit')
    expect(await show(one, 'timezone')).toBe('Asia/Tokyo')
  })
})

describe('nothing is left on the server by a client', () => {
  const leftovers: Record<string, { leave: string; look: string; gone: string }> = {
    'a statement prepared in SQL': {
      leave: 'prepare p as select 1',
      look: 'select count(*) from pg_prepared_statements',
      gone: '0',
    },
    'a channel listened to': {
      leave: 'listen news',
      look: 'select count(*) from pg_listening_channels()',
      gone: '0',
    },
    'a held cursor': {
      leave: 'begin; declare c cursor with hold for select 1; commit',
      look: 'select count(*) from pg_cursors',
      gone: '0',
    },
  }

  test.each(Object.entries(leftovers))('%s', async (_what, it) => {
    await start()
    const one = await pooled.client('transaction')
    await run(one, it.leave)
    await one.terminate()
    await one.readAll()
    const next = await pooled.client('transaction')
    expect(await pooled.value(next, it.look)).toBe(it.gone)
  })

  test('the unnamed statement', async () => {
    await start()
    const one = await pooled.client('transaction')
    await one.send(Buffer.concat([raw.parse('', "select 'of one'"), raw.sync()]))
    await one.untilReady()
    const next = await pooled.client('transaction')
    await next.send(Buffer.concat([raw.bind(), raw.execute(), raw.sync()]))
    expect(rowsOf(await next.untilReady())).toEqual([])
  })
})

test('a change of the server’s own settings reaches who comes next, and disturbs nobody', async () => {
  await start()
  const one = await pooled.client('transaction')
  await run(one, 'select 1')
  const database = pooled.database
  await pooled.postgres.query(`alter database "${database}" set timezone to 'America/Lima'`)
  expect(typesOf(await run(one, 'select 1'))).toBe('TDCZ')
  expect(one.pending()).toEqual([])
})

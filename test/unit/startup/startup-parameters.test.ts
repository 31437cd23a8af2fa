import { describe, expect, test } from 'vitest'
import { readStartupPacket } from '../../../pooler/startup/startup-packet.ts'
import {
  type ConnectionMode,
  checkMode,
  readStartupRequest,
  settingsWithJit,
} from '../../../pooler/startup/startup-parameters.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { type Pair, pairs } from './packets.ts'

const user: Pair = ['user', 'postgres.ref']

function request(list: readonly Pair[]) {
  const body = Buffer.concat([pairs(list), Buffer.of(0)])
  return readStartupRequest(readStartupPacket(0, body))
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof PoolerError) return `${error.code} ${error.row.sqlState}`
    throw error
  }
  return 'none'
}

describe('who and where', () => {
  test('user and database are read as sent', () => {
    expect(
      request([
        ['user', 'a.b.ref'],
        ['database', 'shop'],
      ]),
    ).toMatchObject({
      user: 'a.b.ref',
      database: 'shop',
    })
  })

  test.each<[string, Pair[]]>([
    ['missing', [user]],
    ['empty', [user, ['database', '']]],
    ['equal to the whole user', [user, ['database', 'postgres.ref']]],
    [
      'equal to a user of more than 63 bytes',
      [
        ['user', `r.${'x'.repeat(70)}`],
        ['database', `r.${'x'.repeat(70)}`],
      ],
    ],
  ])('a database that is %s is the project’s own', (_what, list) => {
    expect(request(list).database).toBeNull()
  })

  test.each<[string, Pair]>([
    ['replication in options', ['options', '-c replication=database']],
    ['replication in options as a URL query', ['options', 'replication=database']],
    ['replication in capitals', ['Replication', 'database']],
    ['user in options', ['options', '--user=postgres']],
    ['database in capitals', ['DATABASE', 'other']],
    ['options in options', ['options', '-c options=-crole=postgres']],
    ['a protocol option in options', ['options', '-c _pq_.thing=1']],
  ])('%s is no setting, so that no server is opened with it', (_what, pair) => {
    expect(codeOf(() => request([user, pair]))).toBe('ESTARTUPMESSAGE 08P01')
  })

  test('a database equal to the role without its ref is that database', () => {
    expect(request([user, ['database', 'postgres']]).database).toBe('postgres')
  })

  test('a database name of 63 bytes is taken and one of 64 is not', () => {
    expect(request([user, ['database', `${'ä'.repeat(31)}x`]]).database).toHaveLength(32)
    expect(codeOf(() => request([user, ['database', 'ä'.repeat(32)]]))).toBe(
      'EINVALIDUSERINFO 28000',
    )
  })

  test.each<[string, Pair[]]>([
    ['no user', [['database', 'x']]],
    ['nothing at all', []],
    ['an empty user', [['user', '']]],
    ['a badly encoded user', [['user', Buffer.of(0xe9)]]],
    ['a badly encoded database', [user, ['database', Buffer.of(0xe9)]]],
    ['a user in another case', [['USER', 'postgres']]],
  ])('%s is refused with 28000', (_what, list) => {
    expect(codeOf(() => request(list))).toBe('EINVALIDUSERINFO 28000')
  })

  test.each<[string, Pair[]]>([
    ['user', [user, user]],
    ['empty user', [user, ['user', '']]],
    ['database', [user, ['database', 'a'], ['database', 'a']]],
  ])('a second %s is refused', (_what, list) => {
    expect(codeOf(() => request(list))).toBe('ESTARTUPMESSAGE 08P01')
  })

  test('the request cannot be changed afterwards', () => {
    const frozen = request([user])
    expect(() => Object.assign(frozen, { user: 'other' })).toThrow(TypeError)
  })
})

describe('settings', () => {
  const settingsOf = (list: readonly Pair[]) =>
    Object.fromEntries(request([user, ...list]).settings)

  test('are kept by lower-case name, and the last of one name wins in any case', () => {
    expect(
      settingsOf([
        ['DateStyle', 'ISO'],
        ['TimeZone', 'utc'],
        ['datestyle', 'German'],
      ]),
    ).toEqual({ datestyle: 'German', timezone: 'utc' })
  })

  test('of the packet win over those of options, wherever options stands', () => {
    const options: Pair = ['options', '-c work_mem=1MB -c enable_sort=off']
    const expected = { work_mem: '2MB', enable_sort: 'off' }
    expect(settingsOf([options, ['work_mem', '2MB']])).toEqual(expected)
    expect(settingsOf([['work_mem', '2MB'], options])).toEqual(expected)
  })

  test('of a first options are dropped by a second one, as in Postgres', () => {
    expect(
      settingsOf([
        ['options', '-c work_mem=1MB'],
        ['options', '-c enable_sort=off'],
      ]),
    ).toEqual({ enable_sort: 'off' })
  })

  test('keep empty values, and names are not folded beyond A to Z', () => {
    expect(
      settingsOf([
        ['search_path', ''],
        ['a.Ä', 'x'],
      ]),
    ).toEqual({ search_path: '', 'a.Ä': 'x' })
  })

  test('an application name in another encoding reads as Postgres shows it', () => {
    expect(settingsOf([['application_name', Buffer.from([0x61, 0xe9, 0x62, 0x0a])]])).toEqual({
      application_name: 'a\\xe9b\\x0a',
    })
  })

  test('an application name in UTF-8 is kept as it is', () => {
    expect(settingsOf([['Application_Name', 'aéb']])).toEqual({ application_name: 'aéb' })
  })

  test('any other value in another encoding is refused', () => {
    expect(codeOf(() => request([user, ['search_path', Buffer.of(0xe9)]]))).toBe(
      'ESTARTUPMESSAGE 08P01',
    )
  })

  test('a hundred are taken and one more is refused', () => {
    const many = Array.from({ length: 100 }, (_, index): Pair => [`a.x${index}`, ''])
    expect(request([user, ...many]).settings.size).toBe(100)
    expect(codeOf(() => request([user, ...many, ['a.y', '']]))).toBe('ESTARTUPMESSAGE 08P01')
  })

  test('a prototype’s names are ordinary names', () => {
    expect(
      request([user, ['__proto__', 'x'], ['constructor', 'y']]).settings.get('__proto__'),
    ).toBe('x')
  })
})

describe('jit', () => {
  test('of options stands apart until the caller asks for it as a setting', () => {
    const asked = request([user, ['options', '-c jit=off']])
    expect(asked.options.jit).toBe('off')
    expect(asked.settings.has('jit')).toBe(false)
    expect(settingsWithJit(asked).get('jit')).toBe('off')
    expect(asked.settings.has('jit')).toBe(false)
  })

  test('of the packet is a setting and wins over that of options', () => {
    const asked = request([user, ['jit', 'on'], ['options', '-c jit=off']])
    expect(asked.options.jit).toBe('off')
    expect(settingsWithJit(asked).get('jit')).toBe('on')
  })

  test('that nobody gave is no setting', () => {
    expect(settingsWithJit(request([user])).has('jit')).toBe(false)
  })
})

describe('replication', () => {
  // Each value was put to Postgres 18.
  test.each([
    ['physical', ['true', 'on', '1', 't', 'TRUE', 'y', 'yes', 'tru', 'ye', 'On']],
    ['off', ['false', 'off', '0', 'f', 'of', 'n', 'NO', 'fals']],
    ['logical', ['database']],
  ] as const)('is %s', (kind, values) => {
    for (const value of values) {
      expect(request([user, ['replication', value]]).replication, value).toBe(kind)
    }
  })

  test.each(['', 'o', '2', 'DATABASE', ' on', 'on\n', 'truee'])('of %j is refused', (value) => {
    expect(codeOf(() => request([user, ['replication', value]]))).toBe('ESTARTUPMESSAGE 08P01')
  })

  test('is off when nobody asks for it', () => {
    expect(request([user]).replication).toBe('off')
  })
})

describe('what a mode allows', () => {
  const check = (list: readonly Pair[], mode: ConnectionMode) =>
    codeOf(() => checkMode(request([user, ...list]), mode))

  test('replication is refused in transaction mode only', () => {
    expect(check([['replication', 'on']], 'transaction')).toBe('EUNSUPPORTEDPROTOCOL 0A000')
    expect(check([['replication', 'off']], 'transaction')).toBe('none')
    expect(check([['replication', 'database']], 'session')).toBe('none')
    expect(check([['replication', 'database']], 'direct')).toBe('none')
  })

  test.each([
    'ignore_system_indexes',
    'jit_debugging_support',
    'jit_profiling_support',
    'local_preload_libraries',
    'log_connections',
    'log_disconnections',
    'post_auth_delay',
    'session_preload_libraries',
  ])('%s, which only the start of a connection can set, passes for direct only', (name) => {
    const inOptions: Pair = ['options', `-c ${name.toUpperCase().replaceAll('_', '-')}=1`]
    for (const list of [[[name, '1'] as Pair], [inOptions]]) {
      expect(check(list, 'transaction')).toBe('ESTARTUPSETTING 55P02')
      expect(check(list, 'session')).toBe('ESTARTUPSETTING 55P02')
      expect(check(list, 'direct')).toBe('none')
    }
  })

  test('ordinary settings pass in every mode', () => {
    for (const mode of ['transaction', 'session', 'direct'] as const) {
      expect(check([['search_path', 'a']], mode)).toBe('none')
    }
  })
})

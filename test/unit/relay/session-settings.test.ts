import { describe, expect, test } from 'vitest'
import {
  differenceOf,
  mustBeAwaited,
  profileCharactersMax,
  profileOf,
  profilesMax,
  restoreCount,
  restoreMessages,
  withSetting,
} from '../../../pooler/relay/session-settings.ts'
import { cstringsOf, MessageCutter, typesOf } from '../../support/raw-replies.ts'

const settings = (values: Record<string, string>) => new Map(Object.entries(values))
const server = (reported: Record<string, string>, applied: Record<string, string> = {}) => ({
  reported: settings(reported),
  applied: settings(applied),
  baseline: settings(reported),
})

describe('profiles', () => {
  test('equal settings in any order are one object, so that comparing is a reference', () => {
    const one = profileOf(settings({ timezone: 'UTC', datestyle: 'ISO, MDY' }))
    expect(profileOf(settings({ datestyle: 'ISO, MDY', timezone: 'UTC' }))).toBe(one)
    expect(profileOf(settings({ datestyle: 'ISO, MDY', timezone: 'utc' }))).not.toBe(one)
  })

  test('names and values that run into one another are not mixed up', () => {
    const one = profileOf(settings({ a: 'b","c', d: '' }))
    const other = profileOf(settings({ a: 'b', c: 'd' }))
    expect(one).not.toBe(other)
    expect([...other.wanted]).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
  })

  test('a profile never changes; a setting that is the same gives the same profile', () => {
    const before = profileOf(settings({ timezone: 'UTC' }))
    expect(withSetting(before, 'TimeZone', 'UTC')).toBe(before)
    const after = withSetting(before, 'TimeZone', 'Asia/Tokyo')
    expect(after.wanted.get('timezone')).toBe('Asia/Tokyo')
    expect(before.wanted.get('timezone')).toBe('UTC')
    expect(withSetting(after, 'timezone', 'UTC')).toBe(before)
  })

  test('what is remembered is bounded, and a forgotten profile still works', () => {
    const first = profileOf(settings({ application_name: 'first' }))
    for (let index = 0; index < profilesMax; index += 1) {
      profileOf(settings({ application_name: `other ${index}` }))
    }
    const again = profileOf(settings({ application_name: 'first' }))
    expect(again).not.toBe(first)
    expect(differenceOf(again, server({ application_name: 'first' })).set).toEqual([])
  })
})

describe('profiles of long values', () => {
  const long = (index: number, characters: number) =>
    settings({ search_path: `${index} ${'x'.repeat(characters)}` })

  test('one that is too large is not remembered', () => {
    const one = profileOf(long(1, profileCharactersMax))
    expect(profileOf(long(1, profileCharactersMax))).not.toBe(one)
    expect(profileOf(long(1, profileCharactersMax))).toEqual(one)
  })

  test('all together are bounded by their characters', () => {
    const first = profileOf(long(0, profileCharactersMax / 2))
    for (let index = 1; index < profilesMax / 2; index += 1) {
      profileOf(long(index, profileCharactersMax / 2))
    }
    expect(profileOf(long(0, profileCharactersMax / 2))).not.toBe(first)
  })
})

describe('difference', () => {
  test('a server that reports what is wanted needs nothing', () => {
    const profile = profileOf(settings({ timezone: 'UTC', server_version: '18.4' }))
    const difference = differenceOf(profile, server({ timezone: 'UTC', server_version: '18.4' }))
    expect(difference).toEqual({ set: [], reset: [], tell: [] })
    expect(restoreCount(difference)).toBe(0)
  })

  test('other values are set; what nobody reports is set unless we have applied it', () => {
    const profile = profileOf(settings({ timezone: 'UTC', extra_float_digits: '3' }))
    expect(differenceOf(profile, server({ timezone: 'Asia/Tokyo' })).set).toEqual([
      ['extra_float_digits', '3'],
      ['timezone', 'UTC'],
    ])
    expect(
      differenceOf(profile, server({ timezone: 'UTC' }, { extra_float_digits: '3' })).set,
    ).toEqual([])
  })

  test('what was applied for another client and is not wanted is reset', () => {
    const profile = profileOf(settings({ timezone: 'UTC' }))
    const difference = differenceOf(
      profile,
      server({ timezone: 'UTC' }, { statement_timeout: '1' }),
    )
    expect(difference).toEqual({ set: [], reset: ['statement_timeout'], tell: [] })
  })

  test('read-only reports are never set; a new value is told, a missing one is not', () => {
    const profile = profileOf(
      settings({ server_version: '17.1', in_hot_standby: 'off', is_superuser: 'on' }),
    )
    const difference = differenceOf(
      profile,
      server({ server_version: '18.4', in_hot_standby: 'on' }),
    )
    expect(difference.set).toEqual([])
    expect(difference.tell).toEqual([
      ['in_hot_standby', 'on'],
      ['server_version', '18.4'],
    ])
  })

  test('client_encoding goes first, and the role last: the first says how the rest is read', () => {
    const profile = profileOf(
      settings({ role: 'r', application_name: 'a', timezone: 'UTC', client_encoding: 'LATIN1' }),
    )
    const names = differenceOf(profile, server({})).set.map(([name]) => name)
    expect(names[0]).toBe('client_encoding')
    expect(names.at(-1)).toBe('role')
    expect(names.length).toBe(4)
  })

  describe('where the server acts as somebody else', () => {
    const login = settings({ session_authorization: 'login', is_superuser: 'on' })
    const acting = (user: string, applied: Record<string, string>) => ({
      reported: settings({ session_authorization: user, is_superuser: 'off' }),
      applied: settings(applied),
      baseline: login,
    })
    const wants = (values: Record<string, string>) =>
      profileOf(new Map([...login, ...settings(values)]))

    test('its role is given up in front of all else, and is set last', () => {
      const server = acting('login', { log_statement: 'all', role: 'r' })
      expect(differenceOf(wants({}), server)).toEqual({
        set: [],
        reset: ['role', 'log_statement'],
        tell: [],
      })
      expect(differenceOf(wants({ role: 'r', work_mem: '1MB' }), server)).toEqual({
        set: [
          ['work_mem', '1MB'],
          ['role', 'r'],
        ],
        reset: ['role', 'log_statement'],
        tell: [],
      })
    })

    test('the same role is set anew behind another authorization, which has taken it away', () => {
      const wanted = wants({ session_authorization: 'b', role: 'r' })
      expect(differenceOf(wanted, acting('a', { role: 'r' }))).toEqual({
        set: [
          ['session_authorization', 'b'],
          ['role', 'r'],
        ],
        reset: ['session_authorization', 'role'],
        tell: [],
      })
    })

    test('the same role and nothing else is left as it is', () => {
      const difference = differenceOf(wants({ role: 'r' }), acting('login', { role: 'r' }))
      expect(restoreCount(difference)).toBe(0)
      expect(difference.tell).toEqual([['is_superuser', 'off']])
    })
  })

  test('only what may be refused must be awaited, as whom one acts above all', () => {
    const difference = (set: [string, string][], reset: string[] = []) => ({ set, reset, tell: [] })
    expect(mustBeAwaited(difference([['timezone', 'UTC']], ['work_mem']))).toBe(false)
    expect(mustBeAwaited(difference([['role', 'other']]))).toBe(true)
    expect(mustBeAwaited(difference([['session_authorization', 'other']]))).toBe(true)
    expect(mustBeAwaited(difference([], ['role']))).toBe(true)
    expect(mustBeAwaited(difference([], ['session_replication_role']))).toBe(true)
    expect(mustBeAwaited(difference([['app.user', '7']], ['app.note']))).toBe(false)
  })
})

describe('restore messages', () => {
  const cut = (bytes: Buffer) => {
    const cutter = new MessageCutter()
    cutter.push(bytes)
    const messages = []
    for (let next = cutter.next(); next !== null; next = cutter.next()) messages.push(next)
    expect(cutter.restBytes).toBe(0)
    return messages
  }

  test('are one batch that ends in one Sync', () => {
    const messages = cut(
      restoreMessages({ set: [['timezone', 'UTC']], reset: ['work_mem', 'app.user'], tell: [] }),
    )
    expect(typesOf(messages)).toBe('PBEPBEPBES')
  })

  test('bind values and never spell them into SQL', () => {
    const evil = `x'; DROP TABLE t; --\\ "`
    const [parse, bind] = cut(
      restoreMessages({ set: [['application_name', evil]], reset: [], tell: [] }),
    )
    expect(cstringsOf(parse?.body ?? Buffer.alloc(0))[1]).toBe(
      'SELECT pg_catalog.set_config($1, $2, false)',
    )
    expect(bind?.body.includes(Buffer.from(evil))).toBe(true)
  })

  test('give values beyond ASCII as bytes, whatever the client’s encoding', () => {
    const bytes = Buffer.from('ä ☃')
    const messages = cut(
      restoreMessages({ set: [['app.user', bytes.toString('latin1')]], reset: [], tell: [] }),
    )
    const [parse, bind] = messages
    expect(cstringsOf(parse?.body ?? Buffer.alloc(0))[1]).toContain("decode($2, 'hex')")
    expect(bind?.body.includes(bytes.toString('hex'))).toBe(true)
  })

  test('quote names, so that a name cannot end the statement', () => {
    const [parse] = cut(restoreMessages({ set: [], reset: ['a"; select 1; --.b'], tell: [] }))
    expect(cstringsOf(parse?.body ?? Buffer.alloc(0))[1]).toBe('RESET "a""; select 1; --"."b"')
  })
})

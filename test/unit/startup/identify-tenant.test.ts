import { describe, expect, test } from 'vitest'
import { identifyTenant, type ListenerMode } from '../../../pooler/startup/identify-tenant.ts'
import { readStartupPacket } from '../../../pooler/startup/startup-packet.ts'
import { readStartupRequest } from '../../../pooler/startup/startup-parameters.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { pairs } from './packets.ts'

interface Arrival {
  user: string
  options?: string
  serverName?: string | null
  poolerDomain?: string | null
  mode?: ListenerMode
}

function identify(arrival: Arrival) {
  const list = [
    ['user', arrival.user],
    ['options', arrival.options ?? ''],
  ] as const
  const body = Buffer.concat([pairs(list), Buffer.of(0)])
  return identifyTenant(readStartupRequest(readStartupPacket(0, body)), {
    serverName: arrival.serverName ?? null,
    poolerDomain: arrival.poolerDomain === undefined ? 'pooler.test' : arrival.poolerDomain,
    listenerMode: arrival.mode ?? 'transaction',
  })
}

function codeOf(arrival: Arrival): string {
  try {
    identify(arrival)
  } catch (error) {
    if (error instanceof PoolerError) return error.code
    throw error
  }
  return 'none'
}

const byRef = (ref: string, role: string, isDirect = false) => ({ by: 'ref', ref, role, isDirect })

describe('the order of what identifies', () => {
  test('options reference wins over all, and the user is taken whole', () => {
    expect(
      identify({ user: 'a.b', options: '-c reference=one', serverName: 'two.pooler.test' }),
    ).toEqual(byRef('one', 'a.b'))
  })

  test('the part behind the last dot of the user wins over the server name', () => {
    expect(identify({ user: 'a.b.one', serverName: 'two.pooler.test' })).toEqual(
      byRef('one', 'a.b'),
    )
  })

  test('the server name comes last', () => {
    expect(identify({ user: 'a', serverName: 'one.pooler.test' })).toEqual(byRef('one', 'a'))
  })

  test('without any of them there is no identifier', () => {
    expect(codeOf({ user: 'a' })).toBe('ENOIDENTIFIER')
  })
})

describe('server names', () => {
  test.each([
    ['upper case', 'ONE.Pooler.TEST', 'pooler.test'],
    ['the root’s dot', 'one.pooler.test.', 'pooler.test'],
    ['a domain in upper case', 'one.pooler.test', 'Pooler.Test'],
  ])('%s makes no difference', (_what, serverName, poolerDomain) => {
    expect(identify({ user: 'a', serverName, poolerDomain })).toEqual(byRef('one', 'a'))
  })

  test('a name outside the domain may be one of a project’s own', () => {
    expect(identify({ user: 'a', serverName: 'DB.Shop.example' })).toEqual({
      by: 'sniHostname',
      sniHostname: 'db.shop.example',
      role: 'a',
      isDirect: false,
    })
  })

  test('a name that only ends like the domain is outside it', () => {
    expect(identify({ user: 'a', serverName: 'evilpooler.test' })).toMatchObject({
      sniHostname: 'evilpooler.test',
    })
  })

  test('without a domain every name may be a project’s own', () => {
    expect(identify({ user: 'a', serverName: 'x.y', poolerDomain: null })).toMatchObject({
      sniHostname: 'x.y',
    })
  })

  test.each([
    'pooler.test',
    'a.b.pooler.test',
    'db.a.b.pooler.test',
    '.pooler.test',
    'db..pooler.test',
    '',
    '.',
  ])('%j identifies nobody', (serverName) => {
    expect(codeOf({ user: 'a', serverName })).toBe('ENOIDENTIFIER')
    expect(codeOf({ user: 'a', serverName, mode: 'session' })).toBe('ENOIDENTIFIER')
  })
})

describe('a db. server name', () => {
  const direct = { serverName: 'db.one.pooler.test', mode: 'session' } as const

  test('makes the session port direct, and the user is the role, dots and all', () => {
    expect(identify({ user: 'a.b.two', ...direct })).toEqual(byRef('one', 'a.b.two', true))
  })

  test('drops the same ref behind the user, once', () => {
    expect(identify({ user: 'a.one', ...direct })).toEqual(byRef('one', 'a', true))
    expect(identify({ user: 'a.one.one', ...direct })).toEqual(byRef('one', 'a.one', true))
    expect(identify({ user: 'aone', ...direct })).toEqual(byRef('one', 'aone', true))
  })

  test('agrees with a reference to the same project and with no other', () => {
    expect(identify({ user: 'a', options: '-c reference=one', ...direct })).toEqual(
      byRef('one', 'a', true),
    )
    expect(codeOf({ user: 'a', options: '-c reference=two', ...direct })).toBe('ENOTFOUND')
    expect(codeOf({ user: 'a', options: '-c reference=', ...direct })).toBe('ENOTFOUND')
  })

  test('only names the project on the transaction port', () => {
    expect(identify({ user: 'a', serverName: direct.serverName })).toEqual(byRef('one', 'a'))
    expect(identify({ user: 'a.two', serverName: direct.serverName })).toEqual(byRef('two', 'a'))
  })

  test('on the session port without db. is an ordinary session', () => {
    expect(identify({ user: 'a', serverName: 'one.pooler.test', mode: 'session' })).toEqual(
      byRef('one', 'a'),
    )
  })
})

describe('names that cannot be', () => {
  test.each(['.one', `${'x'.repeat(64)}.one`])('role of %j is not usable', (user) => {
    expect(codeOf({ user })).toBe('EINVALIDUSERINFO')
  })

  test('a role of 64 bytes is not usable by any way in', () => {
    const user = 'x'.repeat(64)
    expect(codeOf({ user, serverName: 'shop.example' })).toBe('EINVALIDUSERINFO')
    expect(codeOf({ user, serverName: 'one.pooler.test' })).toBe('EINVALIDUSERINFO')
    expect(codeOf({ user, options: '-c reference=one' })).toBe('EINVALIDUSERINFO')
    expect(codeOf({ user, serverName: 'db.one.pooler.test', mode: 'session' })).toBe(
      'EINVALIDUSERINFO',
    )
    expect(codeOf({ user: '.one', serverName: 'db.one.pooler.test', mode: 'session' })).toBe(
      'EINVALIDUSERINFO',
    )
  })

  test('a role of 63 bytes in front of a ref is', () => {
    const role = 'x'.repeat(63)
    expect(identify({ user: `${role}.one` })).toEqual(byRef('one', role))
  })

  test.each([
    ['a.', undefined],
    ['a', '-c reference='],
    [`a.${'x'.repeat(256)}`, undefined],
  ])('user %j with options %j names no project', (user, options) => {
    expect(codeOf(options === undefined ? { user } : { user, options })).toBe('ENOTFOUND')
  })

  test('a ref is repeated without control characters', () => {
    expect(() => identify({ user: 'a', options: `-c reference=${'\u0007'.repeat(300)}` })).toThrow(
      /"\?{64}…" was not found/,
    )
  })
})

import { describe, expect, test } from 'vitest'
import {
  isAllowed,
  isLoopback,
  normalizeAddress,
  normalizeNetwork,
  sourceKey,
} from '../../../pooler/accept/address-filter.ts'

describe('one address has one spelling', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
  ])('%s is %s', (text, spelling) => {
    expect(normalizeAddress(text)).toBe(spelling)
  })

  test.each([
    '',
    'localhost',
    '127.1',
    '0x7f.0.0.1',
    '2130706433',
    '010.0.0.1',
    '1.2.3.4.5',
    ':::',
    '1.2.3.4/32',
    '%eth0',
    ' 1.2.3.4',
  ])('%j is no address', (text) => {
    expect(normalizeAddress(text)).toBeNull()
    expect(isAllowed(['0.0.0.0/0', '::/0'], text)).toBe(false)
  })
})

describe('a source', () => {
  test('is an IPv4 address, however written', () => {
    expect(sourceKey('203.0.113.9')).toBe('203.0.113.9')
    expect(sourceKey('::ffff:203.0.113.9')).toBe('203.0.113.9')
    expect(sourceKey('203.0.113.10')).not.toBe(sourceKey('203.0.113.9'))
  })

  test('is an IPv6 /64', () => {
    expect(sourceKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
    expect(sourceKey('2001:db8:1:2:ffff::1')).toBe('2001:db8:1:2::/64')
    expect(sourceKey('2001:db8:1:3::1')).toBe('2001:db8:1:3::/64')
  })

  test('is the same for everything that is no address', () => {
    expect(sourceKey('')).toBe(sourceKey('x'.repeat(1_000)))
  })
})

describe('a list of networks', () => {
  test.each<[string, string[], string, boolean]>([
    ['an empty one', [], '203.0.113.9', false],
    ['the network of the address', ['203.0.113.0/24'], '203.0.113.9', true],
    ['another network', ['203.0.112.0/24'], '203.0.113.9', false],
    ['the second of two', ['10.0.0.0/8', '203.0.113.9/32'], '203.0.113.9', true],
    ['the address alone', ['203.0.113.9'], '203.0.113.9', true],
    ['the address next to it', ['203.0.113.8'], '203.0.113.9', false],
    ['a network with host bits set', ['203.0.113.77/24'], '203.0.113.9', true],
    ['all of IPv4', ['0.0.0.0/0'], '203.0.113.9', true],
    ['all of IPv6 for an IPv4 address', ['::/0'], '203.0.113.9', false],
    ['all of IPv6 for a mapped address', ['::/0'], '::ffff:203.0.113.9', false],
    ['all of IPv4 for a mapped address', ['0.0.0.0/0'], '::ffff:203.0.113.9', true],
    ['all of IPv4 for an IPv6 address', ['0.0.0.0/0'], '2001:db8::1', false],
    ['a mapped network', ['::ffff:203.0.113.0/120'], '203.0.113.9', true],
    ['an IPv6 network', ['2001:db8::/32'], '2001:db8:1::1', true],
    ['an IPv6 network that ends inside a byte', ['2001:db8::/33'], '2001:db8:8000::1', false],
    ['an IPv6 address with its zone', ['fe80::/10'], 'fe80::1%eth0', true],
    ['a broken one', ['203.0.113.0/33', '/24', '203.0.113.0/', 'x/8'], '203.0.113.9', false],
    ['a broken one before a good one', ['x', '203.0.113.0/24'], '203.0.113.9', true],
    ['odd prefixes', ['0.0.0.0/00', '0.0.0.0/-0', '0.0.0.0/0x0', '0.0.0.0/ 0'], '1.2.3.4', false],
    ['two prefixes', ['0.0.0.0/0/0'], '1.2.3.4', false],
    ['short forms', ['0/0', '10/8'], '10.2.3.4', false],
  ])('%s', (_what, networks, address, expected) => {
    expect(isAllowed(networks, address)).toBe(expected)
  })

  test('networks have one spelling', () => {
    expect(normalizeNetwork('203.0.113.77/24')).toBe('203.0.113.0/24')
    expect(normalizeNetwork('203.0.113.77')).toBe('203.0.113.77/32')
    expect(normalizeNetwork('2001:DB8::1/33')).toBe('2001:db8::/33')
    expect(normalizeNetwork('::ffff:10.1.2.3/104')).toBe('10.0.0.0/8')
    expect(normalizeNetwork('::/0')).toBe('::/0')
    expect(normalizeNetwork('fe80::1%eth0/64')).toBeNull()
    expect(normalizeNetwork('10.0.0.0/33')).toBeNull()
  })
})

test('loopback is 127.0.0.0/8 and ::1, in every spelling', () => {
  for (const text of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
    expect(isLoopback(text), text).toBe(true)
  }
  for (const text of ['128.0.0.1', '::2', 'localhost', '', '0.0.0.0']) {
    expect(isLoopback(text), text).toBe(false)
  }
})

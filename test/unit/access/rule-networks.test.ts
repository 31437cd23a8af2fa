import { describe, expect, test } from 'vitest'
import { networkFault, networkWarnings } from '../../../pooler/access/rule-networks.ts'

describe('networks that a rule may list', () => {
  test('networks of either family in their own list', () => {
    for (const text of ['0.0.0.0/0', '203.0.113.0/24', '203.0.113.9/32', '128.0.0.0/1']) {
      expect(networkFault(text, 'v4')).toBeNull()
    }
    for (const text of ['::/0', '2001:db8::/32', '2001:db8::1/128', '2001:DB8::/32']) {
      expect(networkFault(text, 'v6')).toBeNull()
    }
  })

  test('a network in the list of the other family is told so', () => {
    expect(networkFault('2001:db8::/32', 'v4')).toMatch(/is IPv6; this list takes IPv4/)
    expect(networkFault('203.0.113.0/24', 'v6')).toMatch(/is IPv4; this list takes IPv6/)
    expect(networkFault('::ffff:203.0.113.0/120', 'v6')).toMatch(/is IPv4/)
  })

  test('bits behind the prefix are a mistake, not something to cut off', () => {
    for (const text of ['203.0.113.9/24', '128.0.0.0/0', '203.0.113.9/31']) {
      expect(networkFault(text, 'v4')).toMatch(/bits set behind its prefix/)
    }
    expect(networkFault('2001:db8::1/64', 'v6')).toMatch(/bits set behind its prefix/)
  })

  test('what is no CIDR is refused, however much it looks like one', () => {
    const texts = [
      '',
      '203.0.113.9',
      '203.0.113.0/',
      '203.0.113.0/33',
      '203.0.113.0/-1',
      '203.0.113.0/ 24',
      '203.0.113.0/024',
      '203.0.113.0/24/24',
      '203.0.113/24',
      '0x7f.0.0.0/8',
      '010.0.0.0/8',
      'example.com/24',
      '203.0.113.0/255.255.255.0',
    ]
    for (const text of texts) expect(networkFault(text, 'v4'), text).not.toBeNull()
    for (const text of ['fe80::%eth0/64', '::/129', ':::/0', '2001:db8::']) {
      expect(networkFault(text, 'v6'), text).not.toBeNull()
    }
  })

  test('a list of one family only warns about the other', () => {
    expect(networkWarnings({ networksV4: [], networksV6: [] })).toEqual([])
    expect(networkWarnings({ networksV4: ['10.0.0.0/8'], networksV6: [] })).toHaveLength(1)
    expect(networkWarnings({ networksV4: [], networksV6: ['::/0'] })).toHaveLength(1)
    expect(networkWarnings({ networksV4: ['10.0.0.0/8'], networksV6: ['::/0'] })).toEqual([])
  })
})

import { describe, expect, test } from 'vitest'
import { networkFault } from '../../../pooler/access/rule-networks.ts'
import { readTypedNetworks } from '../../../pooler/dashboard/public/networks.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

describe('typed networks', () => {
  test('are told apart by family, however they are separated', () => {
    expect(readTypedNetworks('10.0.0.0/8, 2001:db8::/32\n203.0.113.7;::1')).toEqual({
      v4: ['10.0.0.0/8', '203.0.113.7/32'],
      v6: ['2001:db8::/32', '::1/128'],
      faults: [],
    })
    expect(readTypedNetworks(' \n ')).toEqual({ v4: [], v6: [], faults: [] })
  })

  test.each([
    ['10.0.0.1/8', 'write 10.0.0.0/8'],
    ['2001:db8::1/32', 'write 2001:db8::/32'],
    ['10.0.0/8', 'no IPv4 address'],
    ['010.0.0.1', 'no IPv4 address'],
    ['1.2.3.4.5', 'no IPv4 address'],
    ['example.com', 'no IPv4 address'],
    [':::1', 'no IPv6 address'],
    ['1:2:3:4:5:6:7', 'no IPv6 address'],
    ['1:2:3:4:5:6:7:8:9', 'no IPv6 address'],
    ['fe80::1%eth0', 'no IPv6 address'],
    ['::ffff:10.0.0.1', 'write it as IPv4'],
    ['10.0.0.0/33', 'from 0 to 32'],
    ['10.0.0.0/08', 'from 0 to 32'],
    ['10.0.0.0/', 'from 0 to 32'],
    ['10.0.0.0/8/8', 'more than one'],
  ])('%s is refused in words', (text, fault) => {
    const read = readTypedNetworks(text)
    expect(read.faults[0]?.fault).toContain(fault)
    expect([...read.v4, ...read.v6]).toEqual([])
  })

  test('the same one twice is a fault, in whatever spelling', () => {
    expect(readTypedNetworks('::1 0:0:0:0:0:0:0:1').faults).toEqual([
      { text: '0:0:0:0:0:0:0:1', fault: 'is in the list twice' },
    ])
  })

  test('what is taken here the API takes, and what is refused here it refuses', () => {
    const random = new SeededRandom(4711)
    const pick = <Item>(items: readonly Item[]): Item => random.pick(items)
    const parts = ['0', '1', '10', '255', '256', '01', '2001', 'db8', 'ffff', '', 'g']
    for (let at = 0; at < 5000; at += 1) {
      const separator = pick(['.', ':', ':'])
      const count = pick([3, 4, 4, 7, 8])
      const address = Array.from({ length: count }, () => pick(parts)).join(separator)
      const text = `${pick([address, address.replace(/:(\w*:)+/, '::')])}/${pick(['0', '8', '32', '128', '129'])}`
      const family = text.includes(':') ? 'v6' : 'v4'
      const isTaken = readTypedNetworks(text).faults.length === 0
      expect([text, isTaken]).toEqual([text, networkFault(text, family) === null])
    }
  })
})

import { beforeEach, describe, expect, it } from 'vitest'
import {
  type RecordWithTtl,
  UpstreamAddressError,
  UpstreamAddresses,
} from '../../../pooler/pool/upstream-address.ts'
import { eventually } from '../../support/eventually.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const failing = (code: string) => Promise.reject(Object.assign(new Error(code), { code }))
const record = (address: string, ttl = 30): RecordWithTtl => ({ address, ttl })

class FakeNames {
  readonly asked: string[] = []
  answers4: () => Promise<readonly RecordWithTtl[]> = () => failing('ENOTFOUND')
  answers6: () => Promise<readonly RecordWithTtl[]> = () => failing('ENOTFOUND')
  hosts: () => Promise<readonly string[]> = () => failing('ENOTFOUND')

  resolve4(host: string) {
    this.asked.push(`A ${host}`)
    return this.answers4()
  }

  resolve6(host: string) {
    this.asked.push(`AAAA ${host}`)
    return this.answers6()
  }

  lookup(host: string, family: 4 | 6) {
    this.asked.push(`lookup${family} ${host}`)
    return this.hosts()
  }
}

let names: FakeNames
let clock: ManualClock
let addresses: UpstreamAddresses
beforeEach(() => {
  names = new FakeNames()
  clock = new ManualClock()
  addresses = new UpstreamAddresses({ names, clock })
})

describe('UpstreamAddresses', () => {
  it('takes addresses as they are and asks nobody', async () => {
    for (const [host, address] of [
      ['10.1.2.3', '10.1.2.3'],
      ['127.0.0.1', '127.0.0.1'],
      ['2001:db8::1', '2001:db8::1'],
      ['[2001:db8::1]', '2001:db8::1'],
      ['fd00::1', 'fd00::1'],
    ] as const) {
      expect(await addresses.resolve(host, 'auto', 5432)).toEqual([address])
    }
    expect(names.asked).toEqual([])
  })

  it('knows localhost without asking, whatever a name server would say', async () => {
    names.answers4 = async () => [record('6.6.6.6')]
    expect(await addresses.resolve('localhost', 'auto', 5432)).toEqual(['127.0.0.1'])
    expect(await addresses.resolve('db.localhost', 'v4', 5432)).toEqual(['127.0.0.1'])
    expect(await addresses.resolve('localhost', 'v6', 5432)).toEqual(['::1'])
    expect(names.asked).toEqual([])
  })

  it('asks for the family that the project has, and for IPv6 only without IPv4 in auto', async () => {
    names.answers4 = async () => [record('10.0.0.1'), record('10.0.0.2')]
    names.answers6 = async () => [record('2001:db8::1')]
    expect(await addresses.resolve('a.test', 'auto', 5432)).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(await addresses.resolve('a.test', 'v4', 5432)).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(await addresses.resolve('a.test', 'v6', 5432)).toEqual(['2001:db8::1'])
    names.answers4 = () => failing('ENODATA')
    expect(await addresses.resolve('b.test', 'auto', 5432)).toEqual(['2001:db8::1'])
    expect(names.asked).toEqual([
      'A a.test',
      'A a.test',
      'AAAA a.test',
      'A b.test',
      'lookup4 b.test',
      'AAAA b.test',
    ])
  })

  it('remembers for as long as the record says, one second at least and a minute at most', async () => {
    const lives = async (ttl: number): Promise<number> => {
      names.answers4 = async () => [record('10.0.0.1', 86_400), record('10.0.0.2', ttl)]
      const host = `ttl${ttl}.test`
      await addresses.resolve(host, 'v4', 5432)
      const before = names.asked.length
      let ms = 0
      while (names.asked.length === before) {
        clock.advance(500)
        ms += 500
        await addresses.resolve(host, 'v4', 5432)
      }
      return ms
    }
    expect(await lives(30)).toBe(30_000)
    expect(await lives(0)).toBe(1000)
    expect(await lives(86_400)).toBe(60_000)
  })

  it('asks once for all who want the same name', async () => {
    names.answers4 = async () => [record('10.0.0.1')]
    const wanted = [1, 2, 3].map(() => addresses.resolve('a.test', 'v4', 5432))
    expect(await Promise.all(wanted)).toEqual([['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']])
    expect(names.asked).toEqual(['A a.test'])
  })

  it('looks into /etc/hosts and search domains when the name servers know nothing', async () => {
    names.hosts = async () => ['10.0.0.9']
    for (const code of ['ENOTFOUND', 'ENODATA', 'ECONNREFUSED']) {
      names.answers4 = () => failing(code)
      expect(await addresses.resolve(`${code}.test`, 'auto', 5432)).toEqual(['10.0.0.9'])
    }
    names.answers4 = async () => []
    expect(await addresses.resolve('empty.test', 'v4', 5432)).toEqual(['10.0.0.9'])
  })

  it('occupies no thread for a name whose servers are silent', async () => {
    names.answers4 = () => failing('ETIMEOUT')
    const wanted = addresses.resolve('dead.test', 'v4', 5432)
    await expect(wanted).rejects.toThrow('host name was not resolved (ETIMEOUT)')
    await expect(wanted).rejects.toMatchObject({ isPermanent: false })
    expect(names.asked).toEqual(['A dead.test'])
  })

  it('has two names looked up at once, and the others wait for their turn', async () => {
    const underWay: (() => void)[] = []
    names.hosts = () => new Promise((resolve) => underWay.push(() => resolve(['10.0.0.9'])))
    const wanted = ['a', 'b', 'c', 'd'].map((host) => addresses.resolve(host, 'v4', 5432))
    const lookups = () => names.asked.filter((asked) => asked.startsWith('lookup'))
    await eventually(() => lookups().length === 2)
    underWay.shift()?.()
    await wanted[0]
    await eventually(() => lookups().length === 3)
    expect(underWay).toHaveLength(2)
    while (underWay.length > 0) {
      underWay.shift()?.()
      await eventually(() => underWay.length > 0 || lookups().length === 4)
    }
    for (const addressesOf of wanted) expect(await addressesOf).toEqual(['10.0.0.9'])
    expect(lookups()).toEqual(['lookup4 a', 'lookup4 b', 'lookup4 c', 'lookup4 d'])
  })

  it('remembers no failure', async () => {
    await expect(addresses.resolve('a.test', 'auto', 5432)).rejects.toThrow(UpstreamAddressError)
    names.answers4 = async () => [record('10.0.0.1')]
    expect(await addresses.resolve('a.test', 'auto', 5432)).toEqual(['10.0.0.1'])
  })

  it('never gives a link-local address, in whatever clothes, by name or in clear', async () => {
    const forbidden = [
      '169.254.169.254',
      '169.254.0.1',
      'fe80::1',
      'fe80::1%eth0',
      'febf::1',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      '::ffff:0:a9fe:a9fe',
      '64:ff9b::a9fe:a9fe',
      '2002:a9fe:a9fe::1',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      'ff02::1',
      '255.255.255.255',
    ]
    for (const address of forbidden) {
      const inClear = addresses.resolve(address, 'auto', 5432)
      await expect(inClear, address).rejects.toMatchObject({ isPermanent: true })
      names.answers4 = async () => [record(address)]
      const byName = addresses.resolve(`${forbidden.indexOf(address)}.test`, 'v4', 5432)
      await expect(byName, address).rejects.toMatchObject({ isPermanent: true })
    }
    names.answers4 = async () => [record('169.254.169.254'), record('10.0.0.1'), record('nonsense')]
    expect(await addresses.resolve('mixed.test', 'v4', 5432)).toEqual(['10.0.0.1'])
  })

  it('tries eight addresses of a name at most', async () => {
    names.answers4 = async () => Array.from({ length: 50 }, (_, at) => record(`10.0.0.${at}`))
    expect(await addresses.resolve('many.test', 'v4', 5432)).toHaveLength(8)
  })
})

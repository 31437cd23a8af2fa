import { describe, expect, test } from 'vitest'
import { UpstreamAddresses } from '../../../pooler/pool/upstream-address.ts'
import { type OwnListener, UpstreamGuard } from '../../../pooler/pool/upstream-guard.ts'

const guardOf = (own: OwnListener[], allowedNetworks: string[] = []) =>
  new UpstreamGuard({
    allowedNetworks,
    ownListeners: () => own,
    ownAddresses: () => ['192.0.2.7', '2001:db8::7'],
  })

describe('where a project may have its database', () => {
  test('not where this process listens, whatever the address is written like', () => {
    const guard = guardOf([{ host: null, port: 6543 }])
    for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '192.0.2.7']) {
      expect(guard.faultOf(address, 6543), address).toContain('this pooler')
      expect(guard.faultOf(address, 5432), address).toBeNull()
    }
    expect(guard.faultOf('2001:DB8::7', 6543)).toContain('this pooler')
    expect(guard.faultOf('192.0.2.8', 6543)).toBeNull()
  })

  test('a port on one address leaves the same port on others free', () => {
    const guard = guardOf([{ host: '192.0.2.7', port: 5432 }])
    expect(guard.faultOf('192.0.2.7', 5432)).toContain('this pooler')
    expect(guard.faultOf('127.0.0.1', 5432)).toBeNull()
    const everywhere = guardOf([{ host: '0.0.0.0', port: 5432 }])
    expect(everywhere.faultOf('127.0.0.1', 5432)).toContain('this pooler')
    const byName = guardOf([{ host: 'localhost', port: 5432 }])
    expect(byName.faultOf('127.0.0.1', 5432)).toContain('this pooler')
  })

  test('only in the networks that the operator allows, where there are any', () => {
    const guard = guardOf([], ['10.0.0.0/8', '2001:db8::/32'])
    expect(guard.faultOf('10.1.2.3', 5432)).toBeNull()
    expect(guard.faultOf('::ffff:10.1.2.3', 5432)).toBeNull()
    expect(guard.faultOf('2001:db8::1', 5432)).toBeNull()
    expect(guard.faultOf('127.0.0.1', 5432)).toContain('UPSTREAM_ALLOWED_NETWORKS')
  })

  test('is judged for each address of a name, again at each connection', async () => {
    const own: OwnListener[] = []
    const names = {
      resolve4: async () => [
        { address: '127.0.0.1', ttl: 60 },
        { address: '10.0.0.1', ttl: 60 },
      ],
      resolve6: async () => [],
      lookup: async () => [],
    }
    const addresses = new UpstreamAddresses({ names, guard: guardOf(own, ['127.0.0.0/8']) })
    expect(await addresses.resolve('db.test', 'v4', 5432)).toEqual(['127.0.0.1'])
    own.push({ host: '127.0.0.1', port: 5432 })
    await expect(addresses.resolve('db.test', 'v4', 5432)).rejects.toMatchObject({
      isPermanent: true,
      message: expect.stringContaining('this pooler'),
    })
    await expect(addresses.resolve('10.0.0.1', 'v4', 5432)).rejects.toMatchObject({
      isPermanent: true,
    })
  })
})

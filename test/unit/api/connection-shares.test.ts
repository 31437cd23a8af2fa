import { expect, test } from 'vitest'
import { ConnectionShares } from '../../../pooler/api/connection-shares.ts'

function admitted(shares: ConnectionShares, address: string): number {
  let count = 0
  while (shares.admit(address) !== null) count += 1
  return count
}

test('a source has a quarter of the connections, a proxy leaves a quarter', () => {
  const shares = new ConnectionShares(16, ['10.0.0.0/8'])
  expect(admitted(shares, '192.0.2.1')).toBe(4)
  expect(admitted(shares, '2001:db8::1')).toBe(4)
  expect(admitted(shares, '2001:db8::2')).toBe(0)
  expect(admitted(shares, '10.1.2.3')).toBe(12)
  expect(admitted(shares, '127.0.0.1')).toBe(12)
  expect(admitted(shares, '::ffff:127.0.0.1')).toBe(0)
})

test('a connection that has closed makes room for another of its source', () => {
  const shares = new ConnectionShares(4, [])
  const leave = shares.admit('192.0.2.1')
  expect(shares.admit('192.0.2.1')).toBeNull()
  leave?.()
  expect(shares.admit('192.0.2.1')).not.toBeNull()
})

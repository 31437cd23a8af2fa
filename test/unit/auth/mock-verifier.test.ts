import { describe, expect, it } from 'vitest'
import { MockVerifiers } from '../../../pooler/auth/mock-verifier.ts'
import { formatVerifier, parseVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../../shared/secret.ts'

const mocks = (fill: number) => new MockVerifiers(new Secret(Buffer.alloc(32, fill)))
const textOf = (one: MockVerifiers, ref: string, role: string, iterations = 4096) =>
  formatVerifier(one.verifierFor(ref, role, iterations)).reveal()

describe('a made-up verifier', () => {
  it('is the same in every process that has the key, and another under another key', () => {
    expect(textOf(mocks(1), 'ref', 'role')).toBe(textOf(mocks(1), 'ref', 'role'))
    expect(textOf(mocks(2), 'ref', 'role')).not.toBe(textOf(mocks(1), 'ref', 'role'))
  })

  it('is another for each tenant and role, also where their names join to the same text', () => {
    const names = [
      ['ref', 'role'],
      ['ref', 'role2'],
      ['ref2', 'role'],
      ['refr', 'ole'],
      ['', 'refrole'],
      ['ref","role', ''],
    ] as const
    const texts = names.map(([ref, role]) => textOf(mocks(1), ref, role))
    expect(new Set(texts).size).toBe(names.length)
  })

  it('looks like one of Postgres: 16 bytes of salt, the iterations asked for, three unlike parts', () => {
    const verifier = parseVerifier(textOf(mocks(1), 'ref', 'role', 777))
    expect(verifier).toMatchObject({ iterations: 777 })
    expect(verifier?.salt).toHaveLength(16)
    expect(verifier?.storedKey.reveal()).not.toEqual(verifier?.serverKey.reveal())
    expect(verifier?.storedKey.reveal().subarray(0, 16)).not.toEqual(verifier?.salt)
  })
})

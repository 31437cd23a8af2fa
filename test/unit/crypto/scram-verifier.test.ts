import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  DerivationOverloadError,
  deriveScramKeys,
  scramIterationsMax,
} from '../../../shared/crypto/scram-keys.ts'
import {
  formatVerifier,
  makeVerifier,
  parseVerifier,
} from '../../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../../shared/secret.ts'

const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const key = Buffer.alloc(32, 1).toString('base64')

describe('SCRAM verifiers', () => {
  it('are read as they are written', async () => {
    const verifier = await makeVerifier(new Secret('pencil'), { salt, iterations: 4096 })
    const text = formatVerifier(verifier).reveal()
    expect(text).toMatch(/^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$.{44}:.{44}$/)
    const parsed = parseVerifier(text)
    expect(parsed && formatVerifier(parsed).reveal()).toBe(text)
  })

  it('differ for the same password unless the salt is given', async () => {
    const one = await makeVerifier(new Secret('pencil'), { iterations: 1 })
    const other = await makeVerifier(new Secret('pencil'), { iterations: 1 })
    expect(one.salt).toHaveLength(16)
    expect(one.salt).not.toEqual(other.salt)
    expect(one.storedKey.reveal()).not.toEqual(other.storedKey.reveal())
  })

  it('are refused in any other form', () => {
    const texts = [
      '',
      'secret',
      `md5${'0'.repeat(32)}`,
      `SCRAM-SHA-256$0:AAAA$${key}:${key}`,
      `SCRAM-SHA-256$-1:AAAA$${key}:${key}`,
      `SCRAM-SHA-256$${scramIterationsMax + 1}:AAAA$${key}:${key}`,
      `SCRAM-SHA-256$4096:$${key}:${key}`,
      `SCRAM-SHA-256$4096:A$${key}:${key}`,
      `SCRAM-SHA-256$4096:AAAA$${key}`,
      `SCRAM-SHA-256$4096:AAAA$${key}:${key}:`,
      `SCRAM-SHA-256$4096:AAAA$${key}:${key}\n`,
      `SCRAM-SHA-256$4096:AAAA$AAAA:${key}`,
      `SCRAM-SHA-256$4096:AAAA$${key}:AAAA`,
      `SCRAM-SHA-1$4096:AAAA$${key}:${key}`,
      ` SCRAM-SHA-256$4096:AAAA$${key}:${key}`,
    ]
    for (const text of texts) expect(parseVerifier(text), text).toBeNull()
    expect(parseVerifier(`SCRAM-SHA-256$4096:AAAA$${key}:${key}`)).not.toBeNull()
  })

  it('print neither of their keys', async () => {
    const verifier = await makeVerifier(new Secret('pencil'), { iterations: 1 })
    const printed = inspect(verifier, { depth: 9 }) + JSON.stringify(verifier)
    expect(printed.match(/\[redacted\]/g)).toHaveLength(4)
  })

  it('derives expensive keys one after the other and refuses an endless queue of them', async () => {
    const derive = () => deriveScramKeys(new Secret('x'), salt, 65_537)
    const settled = await Promise.allSettled(Array.from({ length: 60 }, derive))
    const refused = settled.filter((result) => result.status === 'rejected')
    expect(refused).toHaveLength(10)
    for (const { reason } of refused) expect(reason).toBeInstanceOf(DerivationOverloadError)
    await expect(derive()).resolves.toBeDefined()
  }, 60_000)
})

import { beforeAll, describe, expect, it } from 'vitest'
import { cleartextAuth, judgePassword } from '../../../pooler/auth/password-exchange.ts'
import { storedKeyOf } from '../../../shared/crypto/scram-keys.ts'
import { makeVerifier, type ScramVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../../shared/secret.ts'
import { FakeDialog } from './fake-dialog.ts'

describe('cleartextAuth', () => {
  it('asks once and gives the text without its terminator', async () => {
    for (const text of ['', 'sbp_token', 'p\u00e4ss', 'x'.repeat(16 * 1024 - 1)]) {
      const dialog = new FakeDialog(() => Buffer.from(`${text}\0`))
      const password = await cleartextAuth(dialog)
      expect(password.reveal()).toBe(text)
      expect(dialog.sent).toEqual([Buffer.from('520000000800000003', 'hex')])
    }
  })

  it('refuses a text without terminator, with more than one, or over 16 KB', async () => {
    for (const text of ['', 'abc', 'abc\0def', 'abc\0\0', '\0abc\0']) {
      const dialog = new FakeDialog(() => Buffer.from(text))
      await expect(cleartextAuth(dialog)).rejects.toMatchObject({ code: 'EPROTOCOL' })
    }
    const dialog = new FakeDialog(() => Buffer.alloc(16 * 1024 + 1))
    await expect(cleartextAuth(dialog)).rejects.toThrow(/over 16384/)
  })
})

describe('judgePassword', () => {
  let verifier: ScramVerifier
  let ofNothing: ScramVerifier
  beforeAll(async () => {
    verifier = await makeVerifier(new Secret('r\u0069\u0308ght'), { iterations: 10 })
    ofNothing = await makeVerifier(new Secret(''), { iterations: 10 })
  })

  it('gives the ClientKey of the right password, also in another Unicode spelling', async () => {
    const verdict = await judgePassword(new Secret('r\u00efght'), verifier, true)
    if (verdict === 'wrong') throw new Error('the right password was refused')
    expect(storedKeyOf(verdict.clientKey.reveal())).toEqual(verifier.storedKey.reveal())
  })

  it('finds wrong: another password, any password of a made-up verifier, the empty one', async () => {
    expect(await judgePassword(new Secret('right'), verifier, true)).toBe('wrong')
    expect(await judgePassword(new Secret('r\u00efght'), verifier, false)).toBe('wrong')
    expect(await judgePassword(new Secret(''), ofNothing, true)).toBe('wrong')
  })
})

import { beforeAll, describe, expect, it } from 'vitest'
import { scramAuth } from '../../../pooler/auth/scram-auth.ts'
import { ScramClient } from '../../../shared/crypto/scram-client.ts'
import { storedKeyOf } from '../../../shared/crypto/scram-keys.ts'
import { makeVerifier, type ScramVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { PoolerError } from '../../../shared/errors.ts'
import { saslInitialResponse } from '../../../shared/protocol/frontend-messages.ts'
import { Secret } from '../../../shared/secret.ts'
import { FakeDialog } from './fake-dialog.ts'

const password = new Secret('right')
const certificateHash = Buffer.alloc(32, 3)
let verifier: ScramVerifier
beforeAll(async () => {
  verifier = await makeVerifier(password, { iterations: 10 })
})

const scramClient = (secret: Secret<string>): ScramClient =>
  new ScramClient({ secret: { password: secret }, channelBinding: { kind: 'none' } })
const initialOf = (client: ScramClient): Buffer =>
  saslInitialResponse(client.mechanism, client.first()).subarray(5)
/** Bodies of what was sent: type, length and authentication code in front. */
const dataOf = (message: Buffer | undefined): Buffer => (message as Buffer).subarray(9)
const codesOf = (dialog: FakeDialog): number[] => dialog.sent.map((sent) => sent.readInt32BE(5))

function dialogOf(client: ScramClient): FakeDialog {
  return new FakeDialog(
    () => initialOf(client),
    (sent) => client.answer(dataOf(sent[1])),
  )
}

const options = (more: Partial<Parameters<typeof scramAuth>[1]> = {}) => ({
  verifier,
  isRealRole: true,
  channelBinding: null,
  ...more,
})

describe('scramAuth', () => {
  it('gives the ClientKey of the right password, and the client our signature', async () => {
    const client = scramClient(password)
    const dialog = dialogOf(client)
    const verdict = await scramAuth(dialog, options())
    if (verdict === 'wrong') throw new Error('the right password was refused')
    expect(storedKeyOf(verdict.clientKey.reveal())).toEqual(verifier.storedKey.reveal())
    expect(verdict.mechanism).toBe('SCRAM-SHA-256')
    expect(codesOf(dialog)).toEqual([10, 11, 12])
    expect(() => client.verify(dataOf(dialog.sent[2]))).not.toThrow()
  })

  it('tells which mechanism the client chose of two', async () => {
    const bound = { kind: 'bound', certificateHash } as const
    for (const channelBinding of [bound, { kind: 'none' }] as const) {
      const client = new ScramClient({ secret: { password }, channelBinding })
      const verdict = await scramAuth(
        dialogOf(client),
        options({ channelBinding: certificateHash }),
      )
      expect(verdict).toMatchObject({ mechanism: client.mechanism })
    }
  })

  it('says nothing after a wrong password', async () => {
    const dialog = dialogOf(scramClient(new Secret('wrong')))
    expect(await scramAuth(dialog, options())).toBe('wrong')
    expect(codesOf(dialog)).toEqual([10, 11])
  })

  it('says nothing after a right proof against a made-up verifier', async () => {
    const dialog = dialogOf(scramClient(password))
    expect(await scramAuth(dialog, options({ isRealRole: false }))).toBe('wrong')
    expect(codesOf(dialog)).toEqual([10, 11])
  })

  it('offers -PLUS and SCRAM with a certificate hash, SCRAM alone without', async () => {
    const offers = async (channelBinding: Buffer | null): Promise<string> => {
      const dialog = dialogOf(scramClient(password))
      await scramAuth(dialog, options({ channelBinding }))
      return dataOf(dialog.sent[0]).toString()
    }
    expect(await offers(certificateHash)).toBe('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0')
    expect(await offers(null)).toBe('SCRAM-SHA-256\0\0')
  })

  it('asks for the first message where the client left it out, once', async () => {
    const client = scramClient(password)
    const withoutData = Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), Buffer.alloc(4, 0xff)])
    const dialog = new FakeDialog(
      () => withoutData,
      () => client.first(),
      (sent) => client.answer(dataOf(sent[2])),
    )
    expect(await scramAuth(dialog, options())).not.toBe('wrong')
    expect(dataOf(dialog.sent[1])).toHaveLength(0)
    const silent = new FakeDialog(
      () => withoutData,
      () => Buffer.alloc(0),
    )
    await expect(scramAuth(silent, options())).rejects.toMatchObject({ code: 'EPROTOCOL' })
  })

  it('does not judge a proof that comes after the door was closed', async () => {
    const dialog = dialogOf(scramClient(password))
    const refused = new PoolerError('ECIRCUITBREAKER', { values: { seconds: 1 } })
    const beforeJudging = () => {
      expect(dialog.answersLeft).toBe(0)
      throw refused
    }
    await expect(scramAuth(dialog, options({ beforeJudging }))).rejects.toBe(refused)
    expect(codesOf(dialog)).toEqual([10, 11])
  })

  it('refuses malformed SASLInitialResponse messages as protocol violations', async () => {
    const first = 'n,,n=,r=abc'
    const length = (value: number) => {
      const bytes = Buffer.alloc(4)
      bytes.writeInt32BE(value)
      return bytes
    }
    const name = Buffer.from('SCRAM-SHA-256\0')
    const bodies = [
      Buffer.alloc(0),
      Buffer.from('SCRAM-SHA-256'),
      name,
      Buffer.concat([name, Buffer.alloc(3)]),
      Buffer.concat([name, length(first.length + 1), Buffer.from(first)]),
      Buffer.concat([name, length(first.length - 1), Buffer.from(first)]),
      Buffer.concat([name, length(-1), Buffer.from(first)]),
      Buffer.concat([name, length(-2)]),
      Buffer.concat([name, length(0x7fffffff), Buffer.from(first)]),
      Buffer.concat([Buffer.from('SCRAM-SHA-1\0'), length(first.length), Buffer.from(first)]),
      Buffer.concat([Buffer.from('\0'), length(first.length), Buffer.from(first)]),
    ]
    for (const body of bodies) {
      const dialog = new FakeDialog(() => body)
      await expect(scramAuth(dialog, options())).rejects.toMatchObject({ code: 'EPROTOCOL' })
      expect(codesOf(dialog)).toEqual([10])
    }
  })

  it('refuses a malformed proof as a protocol violation, for real and made-up verifiers alike', async () => {
    for (const isRealRole of [true, false]) {
      const client = scramClient(password)
      const dialog = new FakeDialog(
        () => initialOf(client),
        () => Buffer.from('c=biws,r=other,p=AAAA'),
      )
      const auth = scramAuth(dialog, options({ isRealRole }))
      await expect(auth).rejects.toMatchObject({
        code: 'EPROTOCOL',
        message: expect.stringMatching(/malformed SCRAM proof/),
      })
    }
  })
})

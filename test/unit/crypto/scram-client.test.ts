import { beforeAll, describe, expect, it } from 'vitest'
import { type ClientChannelBinding, ScramClient } from '../../../shared/crypto/scram-client.ts'
import {
  deriveScramKeys,
  scramIterationsMax,
  scramSaltBytesMax,
} from '../../../shared/crypto/scram-keys.ts'
import { ScramError, scramMessageBytesMax } from '../../../shared/crypto/scram-messages.ts'
import { ScramServer } from '../../../shared/crypto/scram-server.ts'
import { makeVerifier, type ScramVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../../shared/secret.ts'

const password = new Secret('correct horse')
const none: ClientChannelBinding = { kind: 'none' }
const certificateHash = Buffer.alloc(32, 7)
let verifier: ScramVerifier
beforeAll(async () => {
  verifier = await makeVerifier(password, { iterations: 100 })
})

async function exchange(client: ScramClient, server: ScramServer): Promise<boolean> {
  const serverFirst = server.first(client.mechanism, client.first())
  const outcome = server.final(await client.answer(serverFirst))
  if (outcome === 'wrong') return false
  client.verify(outcome.serverFinal)
  return true
}

async function answered(): Promise<{ client: ScramClient; serverFinal: Buffer }> {
  const client = new ScramClient({ secret: { password }, channelBinding: none })
  const server = new ScramServer({ verifier, channelBinding: null })
  const outcome = server.final(await client.answer(server.first(client.mechanism, client.first())))
  if (outcome === 'wrong') throw new Error('the right password was refused')
  return { client, serverFinal: outcome.serverFinal }
}

describe('ScramClient', () => {
  it('logs in with a password, with and without channel binding', async () => {
    const cases: [ClientChannelBinding, Buffer | null][] = [
      [none, null],
      [none, certificateHash],
      [{ kind: 'not-offered' }, null],
      [{ kind: 'bound', certificateHash }, certificateHash],
    ]
    for (const [channelBinding, offered] of cases) {
      const client = new ScramClient({ secret: { password }, channelBinding })
      const server = new ScramServer({ verifier, channelBinding: offered })
      expect(await exchange(client, server)).toBe(true)
    }
  })

  it('logs in with the keys of a password that it never saw', async () => {
    const secret = await deriveScramKeys(password, verifier.salt, verifier.iterations)
    const client = new ScramClient({ secret, channelBinding: none })
    expect(await exchange(client, new ScramServer({ verifier, channelBinding: null }))).toBe(true)
  })

  it('does not log in with another password or with keys of another verifier', async () => {
    const otherSalt = Buffer.alloc(16, 1)
    const secrets = [
      { password: new Secret('Correct horse') },
      { password: new Secret('') },
      await deriveScramKeys(password, otherSalt, verifier.iterations),
    ]
    for (const secret of secrets) {
      const client = new ScramClient({ secret, channelBinding: none })
      expect(await exchange(client, new ScramServer({ verifier, channelBinding: null }))).toBe(
        false,
      )
    }
  })

  it('uncovers that somebody hid the offer of channel binding', async () => {
    const client = new ScramClient({
      secret: { password },
      channelBinding: { kind: 'not-offered' },
    })
    const server = new ScramServer({ verifier, channelBinding: certificateHash })
    await expect(exchange(client, server)).rejects.toThrow(ScramError)
  })

  it('uncovers another certificate in between', async () => {
    const channelBinding = { kind: 'bound', certificateHash: Buffer.alloc(32, 8) } as const
    const client = new ScramClient({ secret: { password }, channelBinding })
    const server = new ScramServer({ verifier, channelBinding: certificateHash })
    await expect(exchange(client, server)).rejects.toThrow(/channel binding/)
  })

  it('refuses server-first messages that are malformed or ask for too much', async () => {
    const nonce = 'ownnonce'
    const salt = Buffer.alloc(16).toString('base64')
    const longSalt = Buffer.alloc(scramSaltBytesMax + 1).toString('base64')
    const messages = [
      '',
      'e=other-error',
      `s=${salt},i=4096`,
      `r=${nonce},s=${salt},i=4096`,
      `r=other${nonce}x,s=${salt},i=4096`,
      `r=${nonce} x,s=${salt},i=4096`,
      `m=ext,r=${nonce}x,s=${salt},i=4096`,
      `r=${nonce}x,s=${salt},i=4096,m=ext`,
      `r=${nonce}x,i=4096`,
      `r=${nonce}x,s=,i=4096`,
      `r=${nonce}x,s=###,i=4096`,
      `r=${nonce}x,s=${longSalt},i=4096`,
      `r=${nonce}x,s=${salt}`,
      `r=${nonce}x,s=${salt},i=`,
      `r=${nonce}x,s=${salt},i=0`,
      `r=${nonce}x,s=${salt},i=-1`,
      `r=${nonce}x,s=${salt},i=0x10`,
      `r=${nonce}x,s=${salt},i=1e3`,
      `r=${nonce}x,s=${salt},i=4096 `,
      `r=${nonce}x,s=${salt},i=${scramIterationsMax + 1}`,
      `r=${nonce}x,s=${salt},i=2147483648`,
      `r=${nonce}x,s=${salt},i=99999999999999999999`,
      `r=${nonce}${'x'.repeat(scramMessageBytesMax)},s=${salt},i=4096`,
      `r=${nonce}x\0,s=${salt},i=4096`,
    ]
    for (const message of messages) {
      const client = new ScramClient({ secret: { password }, channelBinding: none, nonce })
      client.first()
      await expect(client.answer(Buffer.from(message)), message).rejects.toThrow(ScramError)
    }
  })

  it('refuses every server-final that is not the one right signature', async () => {
    const { serverFinal } = await answered()
    const messages = [
      '',
      'v=',
      'e=invalid-proof',
      serverFinal.toString(), // of another exchange
      `v=${Buffer.alloc(32).toString('base64')}`,
      `v=${Buffer.alloc(31).toString('base64')}`,
    ]
    for (const message of messages) {
      const { client } = await answered()
      expect(() => client.verify(Buffer.from(message)), message).toThrow(ScramError)
    }
    const { client, serverFinal: own } = await answered()
    expect(() => client.verify(Buffer.concat([own, Buffer.from(',x=1')]))).toThrow(ScramError)
  })

  it('takes each message once and in order: anything else is a bug of the caller', async () => {
    const { client, serverFinal } = await answered()
    client.verify(serverFinal)
    expect(() => client.verify(serverFinal)).toThrow(/once/)
    expect(() => client.first()).toThrow(/once/)
    await expect(client.answer(Buffer.alloc(0))).rejects.toThrow(/once/)
  })
})

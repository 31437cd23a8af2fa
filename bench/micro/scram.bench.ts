import { bench, describe } from 'vitest'
import { ScramClient } from '../../shared/crypto/scram-client.ts'
import { deriveScramKeys } from '../../shared/crypto/scram-keys.ts'
import { ScramServer } from '../../shared/crypto/scram-server.ts'
import { makeVerifier } from '../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../shared/secret.ts'

const password = new Secret('a password')
const verifier = await makeVerifier(password)
const keys = await deriveScramKeys(password, verifier.salt, verifier.iterations)

describe('SCRAM', () => {
  bench('one login, both sides, keys known', async () => {
    const client = new ScramClient({ secret: keys, channelBinding: { kind: 'none' } })
    const server = new ScramServer({ verifier, channelBinding: null })
    const final = await client.answer(server.first(client.mechanism, client.first()))
    const proof = server.final(final)
    if (proof === 'wrong') throw new Error('the exchange failed')
    client.verify(proof.serverFinal)
  })

  bench(`keys from a password, ${verifier.iterations} iterations, in the thread pool`, async () => {
    await deriveScramKeys(password, verifier.salt, verifier.iterations)
  })
})

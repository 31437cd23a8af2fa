// Spoilt SCRAM messages: whatever comes, the answer is a refusal, never a login and never a crash.
import { beforeAll, describe, expect, it } from 'vitest'
import { ScramClient } from '../../shared/crypto/scram-client.ts'
import { ScramError, scramSha256 } from '../../shared/crypto/scram-messages.ts'
import { ScramServer } from '../../shared/crypto/scram-server.ts'
import { makeVerifier, type ScramVerifier } from '../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../shared/secret.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const seed = 7_677
const rounds = 5000
const password = new Secret('pencil')
let verifier: ScramVerifier
beforeAll(async () => {
  verifier = await makeVerifier(password, { iterations: 1 })
})

const pieces = [
  'n,,',
  'y,,',
  'p=x,,',
  ',',
  '=',
  'm=',
  'r=',
  'i=',
  's=',
  'c=biws',
  'p=',
  'AAAA',
  '\0',
]

/** One to three changes: a byte replaced, taken out or doubled, a piece put in, the end cut off. */
function spoil(message: Buffer, random: SeededRandom): Buffer {
  let bytes = Buffer.from(message)
  for (let change = 0; change <= random.int(3); change++) {
    const at = random.int(bytes.length + 1)
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
    const changes = [
      () => Buffer.concat([before, Buffer.of(random.int(256)), after.subarray(1)]),
      () => Buffer.concat([before, after.subarray(1)]),
      () => Buffer.concat([before, after.subarray(0, 1), after]),
      () => Buffer.concat([before, Buffer.from(random.pick(pieces)), after]),
      () => Buffer.from(before),
    ]
    bytes = random.pick(changes)()
  }
  return bytes
}

/** What came of it; anything thrown but a ScramError fails the test. */
function refusalOf<Result>(run: () => Result): Result | 'refused' {
  try {
    return run()
  } catch (error) {
    if (error instanceof ScramError) return 'refused'
    throw error
  }
}

describe(`SCRAM with spoilt messages, seed ${seed}`, () => {
  it('lets nobody in by a final message that is not the one right one', async () => {
    const random = new SeededRandom(seed)
    const outcomes = { refused: 0, wrong: 0 }
    for (let round = 0; round < rounds; round++) {
      const server = new ScramServer({ verifier, channelBinding: null })
      const client = new ScramClient({ secret: { password }, channelBinding: { kind: 'none' } })
      const right = await client.answer(server.first(scramSha256, client.first()))
      const spoilt = spoil(right, random)
      if (spoilt.equals(right)) continue
      const outcome = refusalOf(() => server.final(spoilt))
      if (outcome !== 'refused' && outcome !== 'wrong') {
        throw new Error(`round ${round} let in: ${spoilt.toString('latin1')}`)
      }
      outcomes[outcome]++
    }
    expect(outcomes.refused).toBeGreaterThan(0)
    expect(outcomes.wrong).toBeGreaterThan(0)
  })

  it('refuses or answers spoilt first messages, and then takes no proof for another text', async () => {
    const random = new SeededRandom(seed + 1)
    let answered = 0
    for (let round = 0; round < rounds; round++) {
      const server = new ScramServer({ verifier, channelBinding: null })
      const client = new ScramClient({ secret: { password }, channelBinding: { kind: 'none' } })
      const right = client.first()
      const spoilt = spoil(right, random)
      if (spoilt.equals(right)) continue
      const serverFirst = refusalOf(() => server.first(scramSha256, spoilt))
      if (serverFirst === 'refused') continue
      answered++
      const final = await client.answer(serverFirst).catch((error: unknown) => {
        if (!(error instanceof ScramError)) throw error
        return null
      })
      if (final === null) continue
      const outcome = refusalOf(() => server.final(final))
      expect(['refused', 'wrong'], spoilt.toString('latin1')).toContain(outcome)
    }
    expect(answered).toBeGreaterThan(0)
  })

  it('believes no server by spoilt messages', async () => {
    const random = new SeededRandom(seed + 2)
    for (let round = 0; round < rounds; round++) {
      const server = new ScramServer({ verifier, channelBinding: null })
      const client = new ScramClient({ secret: { password }, channelBinding: { kind: 'none' } })
      const serverFirst = server.first(scramSha256, client.first())
      const isFirstSpoilt = random.chance(0.5)
      const heard = isFirstSpoilt ? spoil(serverFirst, random) : serverFirst
      // Counts of iterations up to the limit are allowed, and too slow for thousands of rounds.
      if (/i=[1-9]\d{3,}/.test(heard.toString('latin1'))) continue
      const answer = await client.answer(heard).catch((error: unknown) => {
        if (!(error instanceof ScramError)) throw error
        return null
      })
      if (answer === null) continue
      const proof = refusalOf(() => server.final(answer))
      if (proof === 'refused' || proof === 'wrong') continue
      const serverFinal = isFirstSpoilt ? proof.serverFinal : spoil(proof.serverFinal, random)
      if (!isFirstSpoilt && serverFinal.equals(proof.serverFinal)) continue
      if (isFirstSpoilt && heard.equals(serverFirst)) continue
      expect(refusalOf(() => client.verify(serverFinal))).toBe('refused')
    }
  })
})

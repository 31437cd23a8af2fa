import { createHmac } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { hmacSha256, storedKeyOf } from '../../../shared/crypto/scram-keys.ts'
import {
  ScramError,
  scramMessageBytesMax,
  scramSha256,
  scramSha256Plus,
  xor,
} from '../../../shared/crypto/scram-messages.ts'
import { ScramServer } from '../../../shared/crypto/scram-server.ts'
import { makeVerifier, type ScramVerifier } from '../../../shared/crypto/scram-verifier.ts'
import { Secret } from '../../../shared/secret.ts'

// The exchange of RFC 7677 section 3.
const clientNonce = 'rOprNGfwEbeRWgbNEkqO'
const serverNonce = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const clientFirst = Buffer.from(`n,,n=user,r=${clientNonce}`)
const serverFirst = `r=${clientNonce}${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
const withoutProof = `c=biws,r=${clientNonce}${serverNonce}`
const clientFinal = `${withoutProof},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`
const certificateHash = Buffer.alloc(32, 7)

let verifier: ScramVerifier
beforeAll(async () => {
  verifier = await makeVerifier(new Secret('pencil'), { salt, iterations: 4096 })
})

const server = (channelBinding: Buffer | null = null): ScramServer =>
  new ScramServer({ verifier, channelBinding, nonce: serverNonce })

function begun(first: string | Buffer = clientFirst): ScramServer {
  const scram = server()
  scram.first(scramSha256, Buffer.from(first))
  return scram
}

describe('ScramServer', () => {
  it('answers the exchange of RFC 7677 as the RFC does', () => {
    const scram = server()
    expect(scram.first(scramSha256, clientFirst).toString()).toBe(serverFirst)
    const outcome = scram.final(Buffer.from(clientFinal))
    if (outcome === 'wrong') throw new Error('the proof of the RFC was refused')
    expect(outcome.serverFinal.toString()).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
    expect(storedKeyOf(outcome.clientKey.reveal())).toEqual(verifier.storedKey.reveal())
  })

  it('tells a well-formed proof of another password as wrong, for any one bit of difference', () => {
    const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64')
    for (let bit = 0; bit < proof.length * 8; bit++) {
      const changed = Buffer.from(proof)
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      const message = `${withoutProof},p=${changed.toString('base64')}`
      expect(begun().final(Buffer.from(message))).toBe('wrong')
    }
  })

  it('offers -PLUS first where there is a certificate hash, and only then', () => {
    expect(server(certificateHash).mechanisms).toEqual([scramSha256Plus, scramSha256])
    expect(server().mechanisms).toEqual([scramSha256])
    expect(() => server().first(scramSha256Plus, clientFirst)).toThrow(ScramError)
    for (const other of ['SCRAM-SHA-1', '', 'scram-sha-256', 'PLAIN']) {
      expect(() => server(certificateHash).first(other, clientFirst)).toThrow(ScramError)
    }
  })

  it('refuses flag y after an offer of -PLUS and takes it where none was made', () => {
    const message = Buffer.from(`y,,n=,r=${clientNonce}`)
    expect(() => server(certificateHash).first(scramSha256, message)).toThrow(/not offered/)
    expect(server().first(scramSha256, message).toString()).toBe(serverFirst)
  })

  it('takes flag n from a client that cannot bind, also where -PLUS was offered', () => {
    const scram = server(certificateHash)
    scram.first(scramSha256, clientFirst)
    expect(scram.final(Buffer.from(clientFinal))).not.toBe('wrong')
  })

  it('refuses flags that contradict the mechanism, and other binding types', () => {
    const cases: [string, string][] = [
      [scramSha256Plus, `n,,n=,r=${clientNonce}`],
      [scramSha256Plus, `y,,n=,r=${clientNonce}`],
      [scramSha256Plus, `p=tls-unique,,n=,r=${clientNonce}`],
      [scramSha256Plus, `p=,,n=,r=${clientNonce}`],
      [scramSha256, `p=tls-server-end-point,,n=,r=${clientNonce}`],
    ]
    for (const [mechanism, message] of cases) {
      const first = () => server(certificateHash).first(mechanism, Buffer.from(message))
      expect(first).toThrow(ScramError)
    }
  })

  it('binds a -PLUS login to the certificate that this connection was shown', () => {
    const header = 'p=tls-server-end-point,,'
    const outcomeWith = (hash: Buffer) => {
      const scram = server(certificateHash)
      const first = scram.first(scramSha256Plus, Buffer.from(`${header}n=,r=${clientNonce}`))
      const channel = Buffer.concat([Buffer.from(header), hash]).toString('base64')
      const final = `c=${channel},r=${clientNonce}${serverNonce}`
      const signed = `n=,r=${clientNonce},${first.toString()},${final}`
      return scram.final(Buffer.from(`${final},p=${proofOf(signed)}`))
    }
    expect(outcomeWith(certificateHash)).not.toBe('wrong')
    expect(() => outcomeWith(Buffer.alloc(32, 8))).toThrow(/channel binding check failed/)
    expect(() => outcomeWith(Buffer.alloc(0))).toThrow(/channel binding check failed/)
  })

  it('refuses a binding text that is not what the client announced at first', () => {
    const message = clientFinal.replace('c=biws', `c=${Buffer.from('y,,').toString('base64')}`)
    expect(() => begun().final(Buffer.from(message))).toThrow(/channel binding check failed/)
  })

  it('refuses malformed first messages', () => {
    const messages = [
      '',
      'n',
      'n,',
      'n,,',
      'x,,n=,r=abc',
      'n,a=other,n=,r=abc',
      'n,,r=abc',
      'n,,n=',
      'n,,n=,r=',
      'n,,n=,r=with space',
      'n,,n=,r=ümlaut',
      'n,,n=,r=abc,',
      'n,,n=,r=abc,=x',
      'n,,n=,r=abc\0',
      'n,,n=\0,r=abc',
      'n,,m=ext,n=,r=abc',
      'n,,n=,r=abc,m=ext',
      'n,,n=,n=,r=abc',
      `n,,n=,r=${'a'.repeat(scramMessageBytesMax)}`,
    ]
    for (const message of messages) {
      expect(() => begun(message), JSON.stringify(message)).toThrow(ScramError)
    }
  })

  it('ignores the user name and optional extensions of the first message, as Postgres does', () => {
    expect(() => begun(`n,,n=someone else=2C,r=${clientNonce},x=1,y=`)).not.toThrow()
  })

  it('refuses malformed final messages', () => {
    const nonce = clientNonce + serverNonce
    const proof = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
    const messages = [
      '',
      'c=biws',
      `p=${proof}`,
      withoutProof,
      `r=${nonce},c=biws,p=${proof}`,
      `c=biws,r=${nonce}x,p=${proof}`,
      `c=biws,r=${clientNonce},p=${proof}`,
      `c=biws,r=${serverNonce},p=${proof}`,
      `c=,r=${nonce},p=${proof}`,
      `c=biws,r=${nonce},m=ext,p=${proof}`,
      `${clientFinal},x=1`,
      `${clientFinal},`,
      `${clientFinal}\0`,
      `${withoutProof},p=`,
      `${withoutProof},p=${proof.slice(0, -1)}`,
      `${withoutProof},p=${proof.slice(0, -4)}`,
      `${withoutProof},p=AAAA${proof}`,
      `${withoutProof},p=!${proof.slice(1)}`,
      `${withoutProof},p=${proof.replace('VQ=', 'VR=')}`,
      `${withoutProof},x=${'a'.repeat(scramMessageBytesMax)},p=${proof}`,
    ]
    for (const message of messages) {
      const final = () => begun().final(Buffer.from(message))
      expect(final, JSON.stringify(message)).toThrow(ScramError)
    }
  })

  it('signs optional extensions in front of the proof with everything else', () => {
    const final = `${withoutProof},x=1`
    const signed = `n=user,r=${clientNonce},${serverFirst},${final}`
    expect(begun().final(Buffer.from(`${final},p=${proofOf(signed)}`))).not.toBe('wrong')
    expect(begun().final(Buffer.from(clientFinal.replace(',p=', ',x=1,p=')))).toBe('wrong')
  })

  it('takes each message once: a second first or final message is a bug of the caller', () => {
    const scram = begun()
    expect(() => scram.first(scramSha256, clientFirst)).toThrow(/once/)
    scram.final(Buffer.from(clientFinal))
    expect(() => scram.final(Buffer.from(clientFinal))).toThrow(/once/)
    expect(() => server().final(Buffer.from(clientFinal))).toThrow(/once/)
  })

  it('makes a new nonce of 144 bits for each exchange', () => {
    const nonces = new Set<string>()
    for (let round = 0; round < 100; round++) {
      const first = new ScramServer({ verifier, channelBinding: null }).first(
        scramSha256,
        clientFirst,
      )
      const nonce = first.toString().slice(`r=${clientNonce}`.length).split(',')[0] as string
      expect(Buffer.from(nonce, 'base64')).toHaveLength(18)
      nonces.add(nonce)
    }
    expect(nonces.size).toBe(100)
  })
})

// The proof of the right password for any signed text, from the RFC's formulas and not from ours.
function proofOf(signed: string): string {
  const clientProof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64')
  const stored = verifier.storedKey.reveal()
  const rfcSigned = `n=user,r=${clientNonce},${serverFirst},${withoutProof}`
  const clientKey = xor(clientProof, hmacSha256(stored, rfcSigned))
  const signature = createHmac('sha256', stored).update(signed).digest()
  return xor(clientKey, signature).toString('base64')
}

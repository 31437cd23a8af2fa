// The keys of an identity provider, served on a free port of this machine.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type JwtAlgorithm, makeTestKey, signedJwt, type TestKey } from './jwt-forge.ts'

export const testAudience = 'latchkey-of-a-test'

export class KeySetServer {
  readonly #server: Server
  keys: TestKey[]

  private constructor(server: Server, alg: JwtAlgorithm) {
    this.#server = server
    this.keys = [makeTestKey(alg, 'key 1')]
    server.on('request', (_request, response) => {
      response.end(JSON.stringify({ keys: this.keys.map(({ jwk }) => jwk) }))
    })
  }

  static async start(alg: JwtAlgorithm = 'ES256'): Promise<KeySetServer> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new KeySetServer(server, alg)
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Settings of a process that trusts it. */
  get env(): Record<string, string> {
    return {
      AUTH_JWKS_URL: `${this.issuer}/jwks`,
      AUTH_ISSUER: this.issuer,
      AUTH_AUDIENCE: testAudience,
    }
  }

  /** For somebody, for ten minutes; `changes` says what a test is about. */
  jwt(subject: string, changes: Readonly<Record<string, unknown>> = {}): string {
    const now = Math.floor(Date.now() / 1000)
    const times = { iat: now, exp: now + 600 }
    const claims = { iss: this.issuer, aud: testAudience, sub: subject, ...times, ...changes }
    return signedJwt(this.keys[0] as TestKey, claims)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

// An identity provider with a page to sign in at, on a free port of this machine: OpenID Connect's code
// flow as the specifications have it, strict where a client could be careless. What it is told to get
// wrong, it gets wrong once.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { makeTestKey, signedJwt } from './jwt-forge.ts'
import { testAudience } from './key-set-server.ts'
import { noteSecret } from './known-secrets.ts'

/** Of one answer of the token endpoint; without anything all is as it should be. */
export interface ProviderLie {
  readonly claims?: Readonly<Record<string, unknown>>
  /** Instead of a signed ID token. */
  readonly idToken?: (claims: Readonly<Record<string, unknown>>) => string
  readonly body?: string
  readonly status?: number
}

interface GivenCode {
  readonly subject: string
  readonly nonce: string
  readonly challenge: string
  readonly redirectUri: string
}

export const testClientId = 'dashboard of a test'

export class OpenIdProvider {
  readonly #server: Server
  readonly #codes = new Map<string, GivenCode>()
  readonly key = makeTestKey('RS256', 'key 1')
  /** null: a public client. */
  clientSecret: string | null = null
  secretGoes: 'client_secret_basic' | 'client_secret_post' = 'client_secret_basic'
  lie: ProviderLie = {}
  /** Over what it says of itself. */
  description: Readonly<Record<string, unknown>> = {}
  /** Whoever is signed in there already. */
  subject = ''

  private constructor(server: Server) {
    this.#server = server
    server.on('request', (request, response) => {
      this.#answer(request, response).catch((error: Error) => {
        response.writeHead(500).end(String(error))
      })
    })
  }

  static async start(): Promise<OpenIdProvider> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new OpenIdProvider(server)
  }

  /** Another site than 127.0.0.1 to a browser, though it is the same machine. */
  get issuer(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  get host(): string {
    return new URL(this.issuer).host
  }

  get env(): Record<string, string> {
    return {
      AUTH_JWKS_URL: `${this.issuer}/jwks`,
      AUTH_ISSUER: this.issuer,
      AUTH_AUDIENCE: testAudience,
      AUTH_CLIENT_ID: testClientId,
      ...(this.clientSecret !== null && { AUTH_CLIENT_SECRET: this.clientSecret }),
    }
  }

  /** What a browser does that is sent to sign in and says yes, or no: the address that it is sent back to. */
  async visit(location: string, button: 'allow' | 'deny' = 'allow'): Promise<string> {
    const url = new URL(location)
    url.pathname = `/${button}`
    const answer = await fetch(url, { redirect: 'manual' })
    const back = answer.headers.get('location')
    if (back === null) throw new Error(`the provider answered ${answer.status}`)
    return back
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.issuer)
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return sendJson(response, 200, this.#description())
      case '/jwks':
        return sendJson(response, 200, { keys: [this.key.jwk] })
      case '/authorize':
        return sendPage(response, url.search)
      case '/allow':
        return this.#sendBack(response, url, { code: this.#newCode(url) })
      case '/deny':
        return this.#sendBack(response, url, { error: 'access_denied' })
      case '/token':
        return this.#sendToken(request, response)
      default:
        response.writeHead(404).end()
    }
  }

  #description(): Record<string, unknown> {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/authorize?tenant=1`,
      token_endpoint: `${this.issuer}/token`,
      jwks_uri: `${this.issuer}/jwks`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: [this.secretGoes],
      authorization_response_iss_parameter_supported: true,
      ...this.description,
    }
  }

  #newCode(url: URL): string {
    const asked = url.searchParams
    const isAsExpected =
      asked.get('response_type') === 'code' &&
      asked.get('client_id') === testClientId &&
      asked.get('code_challenge_method') === 'S256' &&
      asked.get('tenant') === '1' &&
      asked.get('scope')?.split(' ').includes('openid')
    if (!isAsExpected) throw new Error(`asked wrongly: ${url.search}`)
    const code = randomBytes(24).toString('base64url')
    noteSecret(code)
    this.#codes.set(code, {
      subject: this.subject,
      nonce: asked.get('nonce') ?? '',
      challenge: asked.get('code_challenge') ?? '',
      redirectUri: asked.get('redirect_uri') ?? '',
    })
    return code
  }

  #sendBack(response: ServerResponse, url: URL, answer: Readonly<Record<string, string>>): void {
    const back = new URL(url.searchParams.get('redirect_uri') ?? '')
    const state = url.searchParams.get('state') ?? ''
    for (const [name, value] of Object.entries({ ...answer, state, iss: this.issuer })) {
      back.searchParams.set(name, value)
    }
    response.writeHead(302, { location: back.href }).end()
  }

  async #sendToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await bodyOf(request))
    const code = form.get('code') ?? ''
    const given = this.#codes.get(code)
    this.#codes.delete(code)
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const isGood =
      this.#isClient(request, form) &&
      given?.challenge === challenge &&
      given.redirectUri === form.get('redirect_uri') &&
      form.get('grant_type') === 'authorization_code'
    if (given === undefined || !isGood) {
      return sendJson(response, 400, { error: 'invalid_grant', error_description: code })
    }
    const { lie } = this
    this.lie = {}
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: this.issuer,
      aud: testClientId,
      sub: given.subject,
      nonce: given.nonce,
      iat: now,
      exp: now + 600,
      ...lie.claims,
    }
    const idToken = lie.idToken?.(claims) ?? signedJwt(this.key, claims)
    noteSecret(idToken)
    const body = JSON.stringify({ access_token: 'opaque', token_type: 'Bearer', id_token: idToken })
    response
      .writeHead(lie.status ?? 200, { 'content-type': 'application/json' })
      .end(lie.body ?? body)
  }

  #isClient({ headers }: IncomingMessage, form: URLSearchParams): boolean {
    if (form.get('client_id') !== testClientId) return false
    if (this.clientSecret === null) return headers.authorization === undefined
    if (this.secretGoes === 'client_secret_post') {
      return form.get('client_secret') === this.clientSecret && headers.authorization === undefined
    }
    const basic = Buffer.from(headers.authorization?.replace('Basic ', '') ?? '', 'base64')
    const [id = '', secret = ''] = basic.toString().split(':')
    const parts = new URLSearchParams(`id=${id}&secret=${secret}`)
    return (
      parts.get('id') === testClientId &&
      parts.get('secret') === this.clientSecret &&
      !form.has('client_secret')
    )
  }
}

function sendPage(response: ServerResponse, search: string): void {
  const link = (path: string, label: string) =>
    `<a href="${path}${search.replaceAll('&', '&amp;')}">${label}</a>`
  response
    .writeHead(200, { 'content-type': 'text/html' })
    .end(
      `<!doctype html><title>Provider</title>${link('/allow', 'Allow')} ${link('/deny', 'Deny')}`,
    )
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

// Signing in at the identity provider: OpenID Connect's authorization code flow with PKCE, state and
// nonce. It ends with a bearer like that of any JWT of the provider; which member that is, and what
// the browser gets for it, is decided elsewhere.
import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../../shared/clock.ts'
import type { SecretBox } from '../../shared/crypto/secret-box.ts'
import { parseJson } from '../../shared/json.ts'
import type { Secret } from '../../shared/secret.ts'
import { idTokenBytesMax, tokenAnswerBytesMax } from '../config/limits.ts'
import type { IdentityBearer } from './bearer.ts'
import { type GuardedAnswer, type GuardedClient, GuardedRequestError } from './guarded-client.ts'
import type { IdentityProvider } from './identity-provider.ts'
import { type JwtClaims, readJwt, type UncheckedJwt } from './jwt-claims.ts'
import type { ProviderDocument, ProviderEndpoints } from './provider-document.ts'
import { newTicket, openTicket, type SignInTicket, sealTicket } from './sign-in-ticket.ts'

/**
 * `forgotten`: this browser did not begin, or too long ago. `foreign`: the answer does not belong to
 * what it began. `denied`: said so at the provider. `provider`: no answer that could be used.
 * `untrusted`: an ID token that is not for us, or not what it seems.
 */
export type SignInFault = 'forgotten' | 'foreign' | 'denied' | 'provider' | 'untrusted'

/** `message` is for the log: it may have words of the provider's, never a code or a token. */
export class SignInRefusal extends Error {
  override readonly name = 'SignInRefusal'
  readonly fault: SignInFault

  constructor(fault: SignInFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.fault = fault
  }
}

export interface ProviderSignInOptions {
  readonly document: Pick<ProviderDocument, 'endpoints'>
  readonly client: Pick<GuardedClient, 'ask'>
  /** For ID tokens: their audience is the client, not the API. */
  readonly provider: Pick<IdentityProvider, 'read' | 'issuer'>
  readonly clientId: string
  /** null: a public client, which PKCE alone vouches for. */
  readonly clientSecret: Secret<string> | null
  readonly box: SecretBox
  readonly clock: Clock
}

/** What the provider sent the browser back with. */
export interface ProviderAnswer {
  readonly state?: string | undefined
  readonly code?: string | undefined
  readonly iss?: string | undefined
  readonly error?: string | undefined
}

export interface BegunSignIn {
  readonly location: string
  readonly ticket: Secret<string>
}

export interface FinishedSignIn {
  readonly bearer: IdentityBearer
  readonly returnTo: string
}

const exchangeTimeoutMs = 5000

const tokenAnswer = z
  .object({ id_token: z.string().optional(), error: z.string().optional() })
  .catch({})

export class ProviderSignIn {
  readonly #options: ProviderSignInOptions

  constructor(options: ProviderSignInOptions) {
    this.#options = options
  }

  /** Rejects when the provider cannot be found. */
  async begin(where: Pick<SignInTicket, 'redirectUri' | 'returnTo'>): Promise<BegunSignIn> {
    const { document, clientId, box, clock } = this.#options
    const { authorization } = await document.endpoints()
    const ticket = newTicket(where, clock.wallMs())
    const location = new URL(authorization)
    const challenge = createHash('sha256').update(ticket.verifier).digest('base64url')
    for (const [name, value] of Object.entries({
      response_type: 'code',
      client_id: clientId,
      redirect_uri: ticket.redirectUri,
      scope: 'openid email',
      state: ticket.state,
      nonce: ticket.nonce,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })) {
      location.searchParams.set(name, value)
    }
    return { location: location.href, ticket: sealTicket(box, ticket) }
  }

  /** Rejects with SignInRefusal and nothing else that is not a fault of ours. */
  async finish(sealed: Secret<string> | null, answer: ProviderAnswer): Promise<FinishedSignIn> {
    const { provider, box, clock } = this.#options
    const ticket = sealed === null ? null : openTicket(box, sealed)
    if (ticket === null || clock.wallMs() >= ticket.endsAtMs) {
      throw new SignInRefusal('forgotten', 'the browser has no ticket that holds')
    }
    if (answer.state === undefined || !isSame(answer.state, ticket.state)) {
      throw new SignInRefusal('foreign', 'the state is another one')
    }
    const endpoints = await this.#endpoints()
    // Whoever mixes providers up would send us another one's code (RFC 9207 section 2.4).
    const isNamed = answer.iss !== undefined || endpoints.namesItself
    if (isNamed && answer.iss !== provider.issuer) {
      throw new SignInRefusal('foreign', 'the answer names another issuer, or none')
    }
    if (answer.error !== undefined) throw refusalOf(answer.error)
    if (answer.code === undefined) throw new SignInRefusal('provider', 'there is no code')
    const idToken = await this.#exchange(endpoints, ticket, answer.code)
    return { bearer: await this.#verify(idToken, ticket), returnTo: ticket.returnTo }
  }

  async #endpoints(): Promise<ProviderEndpoints> {
    try {
      return await this.#options.document.endpoints()
    } catch (cause) {
      throw new SignInRefusal('provider', 'the provider has not described itself', cause)
    }
  }

  /** The ID token for the code; nothing else of the answer is wanted. */
  async #exchange(endpoints: ProviderEndpoints, ticket: SignInTicket, code: string) {
    const { client, clientId, clientSecret } = this.#options
    const isSecretInBody = clientSecret !== null && endpoints.secretGoes === 'in body'
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: ticket.redirectUri,
      code_verifier: ticket.verifier,
      client_id: clientId,
      ...(isSecretInBody && { client_secret: clientSecret.reveal() }),
    })
    const isSecretInHeader = clientSecret !== null && endpoints.secretGoes === 'in header'
    const answer = await this.#ask(
      client.ask({
        method: 'POST',
        url: endpoints.token,
        headers: {
          accept: 'application/json',
          'content-type': 'application/x-www-form-urlencoded',
          ...(isSecretInHeader && { authorization: basicOf(clientId, clientSecret) }),
        },
        body: form.toString(),
        timeoutMs: exchangeTimeoutMs,
        bodyBytesMax: tokenAnswerBytesMax,
      }),
    )
    const { id_token: idToken, error } = tokenAnswer.parse(parseJson(answer.body))
    if (answer.status === 200 && idToken !== undefined) return idToken
    const said = error === undefined ? '' : ` and ${printable(error)}`
    throw new SignInRefusal('provider', `the code was answered with ${answer.status}${said}`)
  }

  async #ask(asked: Promise<GuardedAnswer>): Promise<GuardedAnswer> {
    try {
      return await asked
    } catch (cause) {
      if (!(cause instanceof GuardedRequestError)) throw cause
      throw new SignInRefusal('provider', 'the code could not be exchanged', cause)
    }
  }

  /** OpenID Connect Core section 3.1.3.7. */
  async #verify(idToken: string, ticket: SignInTicket): Promise<IdentityBearer> {
    const { clientId, clock } = this.#options
    const jwt = idToken.length > idTokenBytesMax ? null : readJwt(idToken)
    if (jwt === null) throw new SignInRefusal('untrusted', 'the ID token is no JWT of one')
    const hash = createHash('sha256').update(idToken).digest('hex')
    const bearer = await this.#read(idToken, hash, jwt)
    if (bearer === null) {
      throw new SignInRefusal('untrusted', 'the ID token is not for us, or not signed as it says')
    }
    if (!isForClient(jwt.claims, clientId)) {
      throw new SignInRefusal('untrusted', 'the ID token was made for another client')
    }
    const { nonce } = jwt.claims.all
    if (typeof nonce !== 'string' || !isSame(nonce, ticket.nonce)) {
      throw new SignInRefusal('foreign', 'the nonce is another one')
    }
    if (bearer.endsAtMs <= clock.wallMs()) {
      throw new SignInRefusal('untrusted', 'the ID token is over')
    }
    return bearer
  }

  async #read(idToken: string, hash: string, jwt: UncheckedJwt): Promise<IdentityBearer | null> {
    try {
      return await this.#options.provider.read(idToken, hash, jwt)
    } catch (cause) {
      throw new SignInRefusal('provider', 'the keys of the provider cannot be had', cause)
    }
  }
}

/** Of several audiences one asked for it, and that has to be us. */
function isForClient({ audiences, all }: JwtClaims, clientId: string): boolean {
  return all.azp === undefined ? audiences.length === 1 : all.azp === clientId
}

/** RFC 6749 section 4.1.2.1. */
function refusalOf(error: string): SignInRefusal {
  const isDenied = ['access_denied', 'login_required', 'consent_required'].includes(error)
  return new SignInRefusal(isDenied ? 'denied' : 'provider', `it said ${printable(error)}`)
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100)

/** Each part in the form encoding first, then both in base64 (RFC 6749 section 2.3.1). */
const basicOf = (clientId: string, secret: Secret<string>): string =>
  `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret.reveal())}`).toString('base64')}`

const formEncoded = (text: string): string =>
  new URLSearchParams([['', text]]).toString().slice('='.length)

function isSame(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}

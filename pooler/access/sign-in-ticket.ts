// What has to be known when somebody comes back from the identity provider. The browser carries it,
// sealed, in a cookie: so nothing is held here for people who never come back, any process of these
// metadata can go on with it, and it is worth nothing in another browser.
import { randomBytes } from 'node:crypto'
import { type SecretBox, SecretBoxError } from '../../shared/crypto/secret-box.ts'
import { Secret } from '../../shared/secret.ts'

export interface SignInTicket {
  /** Comes back with the answer: whoever did not ask for it does not know it (RFC 6749 section 10.12). */
  readonly state: string
  /** Stands in the ID token, so that one of another sign-in does not fit. */
  readonly nonce: string
  /** Of PKCE (RFC 7636): a code that somebody else got hold of is worth nothing to them. */
  readonly verifier: string
  readonly redirectUri: string
  /** Path of our page to go on with. */
  readonly returnTo: string
  readonly endsAtMs: number
}

/** Time to find one's password, and the phone for the second factor. */
export const ticketLengthMs = 600_000

const place = { tenant: '', role: '', field: 'sign-in ticket' }

export function newTicket(
  { redirectUri, returnTo }: Pick<SignInTicket, 'redirectUri' | 'returnTo'>,
  nowMs: number,
): SignInTicket {
  return {
    state: newRandomText(),
    nonce: newRandomText(),
    verifier: newRandomText(),
    redirectUri,
    returnTo,
    endsAtMs: nowMs + ticketLengthMs,
  }
}

export const sealTicket = (box: SecretBox, ticket: SignInTicket): Secret<string> =>
  new Secret(box.seal(JSON.stringify(ticket), place).toString('base64url'))

/** null: not sealed here, or changed. */
export function openTicket(box: SecretBox, sealed: Secret<string>): SignInTicket | null {
  try {
    const text = box.open(Buffer.from(sealed.reveal(), 'base64url'), place).reveal()
    // What we sealed ourselves has the form that we gave it.
    return JSON.parse(text) as SignInTicket
  } catch (error) {
    if (error instanceof SecretBoxError) return null
    throw error
  }
}

/** 43 characters, as long as the shortest verifier may be (RFC 7636 section 4.1). */
const newRandomText = (): string => randomBytes(32).toString('base64url')

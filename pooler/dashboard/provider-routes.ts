// The way into the dashboard by the identity provider: our page asks where to go, and the provider
// sends the browser back. What it brings back is nothing without the ticket in this browser's cookie.
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { PoolerError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import type { BearerOwner } from '../access/bearers.ts'
import { tokenFault } from '../access/decide-access.ts'
import {
  type ProviderAnswer,
  type ProviderSignIn,
  type SignInFault,
  SignInRefusal,
} from '../access/provider-sign-in.ts'
import { ticketLengthMs } from '../access/sign-in-ticket.ts'
import type { ApiApp } from '../api/api-app.ts'
import type { ApiDeps } from '../api/api-deps.ts'
import { ApiError } from '../api/api-error.ts'
import type { Authorizer } from '../api/authorize.ts'
import { ownOriginOf } from '../api/own-origin.ts'
import { cookieValueOf } from '../api/session-cookie.ts'
import { openSession, privateOrigin } from './sign-in-routes.ts'

/** A path of ours and no more: `//host` would be somebody else's. */
const beginBody = z.strictObject({
  return_to: z
    .string()
    .max(500)
    .regex(/^\/(?![/\\])[\w%./~-]*$/),
})

const answerQuery = z
  .object({
    state: z.string().max(200).optional(),
    code: z.string().max(8192).optional(),
    iss: z.string().max(2000).optional(),
    error: z.string().max(200).optional(),
  })
  // Given twice, or too long: as if it were not there.
  .catch({})

/**
 * What the page is told and explains (sign-in-faults.ts there). `stranger`: the provider knows them,
 * nobody here does. `over`: logged out. `often`: too many failures from one network.
 */
type PageFault = SignInFault | 'stranger' | 'over' | 'often'

/** The authorizer counts it, as it does every 401. */
class CallbackRefusal extends ApiError {
  readonly fault: PageFault

  constructor(fault: PageFault, cause: unknown) {
    super(401, `nobody is signed in: ${fault}`)
    this.fault = fault
    this.cause = cause
  }
}

export function providerRoutes(app: ApiApp, deps: ApiDeps, authorizer: Authorizer): void {
  const { providerSignIn, settings, log } = deps
  // Without one there is no such path.
  if (providerSignIn === null) return

  app.post('/provider', { schema: { hide: true, body: beginBody } }, async (request, reply) => {
    const origin = privateOrigin(request, deps)
    const redirectUri = `${origin.origin}/auth/callback`
    try {
      const begun = await providerSignIn.begin({ redirectUri, returnTo: request.body.return_to })
      const cookie = ticketCookie(origin, begun.ticket)
      return reply.header('set-cookie', cookie).send({ location: begun.location })
    } catch (cause) {
      throw new PoolerError('EAUTHPROVIDER', {
        cause,
        hint: 'The identity provider cannot be reached; sign in with a token meanwhile.',
      })
    }
  })

  app.get('/callback', { schema: { hide: true } }, async (request, reply) => {
    const origin = ownOriginOf(request, settings)
    const answer = answerQuery.parse(request.query)
    const ticket = cookieValueOf(request, ticketName(origin))
    try {
      const { owner, returnTo } = await authorizer.admit(answer.state ?? '', request.ip, () =>
        finish(providerSignIn, deps, ticket, answer),
      )
      const { cookie } = await openSession(request, deps, origin, owner)
      return goOn(reply, origin, returnTo, [cookie])
    } catch (error) {
      const fault = faultOf(error)
      if (fault === null) throw error
      log.warn(
        { err: (error as Error).cause ?? error, address: request.ip, fault },
        'not signed in',
      )
      return goOn(reply, origin, `/?sign_in=${fault}`, [])
    }
  })
}

/** Rejects with CallbackRefusal. */
async function finish(
  providerSignIn: Pick<ProviderSignIn, 'finish'>,
  { bearers, clock, log }: ApiDeps,
  ticket: string | null,
  answer: ProviderAnswer,
): Promise<{ readonly owner: BearerOwner; readonly returnTo: string }> {
  try {
    const sealed = ticket === null ? null : new Secret(ticket)
    const { bearer, returnTo } = await providerSignIn.finish(sealed, answer)
    const owner = await bearers.ownerOf(bearer)
    if (owner === null) {
      const { issuer, subject } = bearer
      log.warn({ issuer, subject }, 'the identity provider knows somebody who is no member here')
      throw new CallbackRefusal('stranger', null)
    }
    if (tokenFault(owner.token, clock.wallMs()) !== null) throw new CallbackRefusal('over', null)
    return { owner, returnTo }
  } catch (error) {
    throw error instanceof SignInRefusal ? new CallbackRefusal(error.fault, error) : error
  }
}

function faultOf(error: unknown): PageFault | null {
  if (error instanceof CallbackRefusal) return error.fault
  return error instanceof ApiError && error.statusCode === 429 ? 'often' : null
}

/** The ticket is used up, whatever came of it. */
function goOn(
  reply: FastifyReply,
  origin: URL,
  path: string,
  cookies: readonly string[],
): FastifyReply {
  return reply
    .header('set-cookie', [...cookies, ticketCookie(origin, null)])
    .header('cache-control', 'no-store')
    .redirect(`${origin.origin}${path}`, 303)
}

const ticketName = ({ protocol }: URL): string =>
  protocol === 'https:' ? '__Host-latchkey-sign-in' : 'latchkey-sign-in'

/** Lax, and not Strict as the session's: it has to come along when the provider sends the browser back. */
function ticketCookie(origin: URL, ticket: Secret<string> | null): string {
  const seconds = ticket === null ? 0 : ticketLengthMs / 1000
  const secure = origin.protocol === 'https:' ? '; Secure' : ''
  const flags = `Path=/; HttpOnly; SameSite=Lax${secure}; Max-Age=${seconds}`
  return `${ticketName(origin)}=${ticket?.reveal() ?? ''}; ${flags}`
}

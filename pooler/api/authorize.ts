// Who calls /v1, and whether they may: bearer, project, permission, and how often. Routes name
// their permission in `config`; what is in a request body is judged by the routes. A body may take its
// time, so who and whether are asked again behind it.
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { assert } from '../../shared/assert.ts'
import { Secret } from '../../shared/secret.ts'
import { sourceKey } from '../accept/address-filter.ts'
import type { Bearer } from '../access/bearer.ts'
import type { BearerOwner } from '../access/bearers.ts'
import { rulesRefOf, tokenFault } from '../access/decide-access.ts'
import { isPermitted, type Permission } from '../access/permissions.ts'
import { coversPermission, coversProject, type TokenScope } from '../access/token-scope.ts'
import type { Acting } from '../store/acting.ts'
import type { SignedInIdentity } from '../store/identities.ts'
import type { Member } from '../store/members.ts'
import type { MembershipRole } from '../store/schema.ts'
import type { TokenRecord } from '../store/tokens.ts'
import type { Tenant } from '../tenant/tenant.ts'
import type { ApiDeps } from './api-deps.ts'
import { ApiError, notFound } from './api-error.ts'
import { bearerOf } from './jwt-guard.ts'
import { ownOriginOf, refuseForeignPage } from './own-origin.ts'
import { RequestWindows } from './request-windows.ts'
import { cookieHeader, cookieOf, hasCookie } from './session-cookie.ts'

export interface Caller {
  readonly member: Member
  readonly token: TokenRecord
  /** What was sent: the token itself, or a session that stands for it. */
  readonly bearer: Bearer
}

export interface ProjectView {
  readonly tenant: Tenant
  /** Where rules, members and state live: the parent of a branch, else the project itself. */
  readonly rulesTenant: Tenant
  readonly callerRole: MembershipRole
  /** Of the token that asks; null: all that its owner may. */
  readonly callerScope: TokenScope | null
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null
    /** On open routes: whom the identity provider knows and we do not. Never with a caller. */
    newcomer: SignedInIdentity | null
    project: ProjectView | null
  }
  interface FastifyContextConfig {
    /** What a route under /projects/{ref} asks of its caller. */
    permission?: Permission
    /** Takes calls without a bearer too, and asks nothing of those with one. */
    isOpen?: boolean
    /** Asked by the page itself and not by a person: keeps no session from ending. */
    isBackground?: boolean
  }
}

const minuteMs = 60_000
const requestsPerMinute = 120
const badBearersPerMinute = 20
/** Far more people, projects and sources than one process serves in a minute. */
const windowKeysMax = 20_000
/** Tokens seen good lately: their owners get in even where a neighbour guesses. */
const goodTokensMax = 10_000

export class Authorizer {
  readonly #deps: ApiDeps
  readonly #requests: RequestWindows
  readonly #badBearers: RequestWindows
  readonly #goodTokens = new LRUCache<string, true>({ max: goodTokensMax })

  constructor(deps: ApiDeps) {
    this.#deps = deps
    const { clock } = deps
    this.#requests = new RequestWindows({ clock, windowMs: minuteMs, keysMax: windowKeysMax })
    this.#badBearers = new RequestWindows({ clock, windowMs: minuteMs, keysMax: windowKeysMax })
  }

  /** The hook before every route under /v1: throws 401, 403, 404 or 429, or fills the request in. */
  async onRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { isOpen = false } = request.routeOptions.config
    const isNamed = request.headers.authorization !== undefined || hasCookie(request)
    if (isOpen && !isNamed) {
      this.#refuseGuesses(sourceKey(request.ip), '')
      return
    }
    const caller = await this.#identify(request, isOpen)
    if (caller === null) {
      this.#refuseGuesses(sourceKey(request.ip), '')
      return
    }
    request.caller = caller
    if (isOpen) {
      this.#count(`${caller.member.userId}/`, reply)
      return
    }
    const { ref } = request.params as { ref?: string }
    const project = ref === undefined ? null : await this.#findProject(ref, caller)
    // Refs that lead nowhere share one window: their number is the caller's choice.
    this.#count(`${caller.member.userId}/${project?.tenant.ref ?? ''}`, reply)
    if (ref !== undefined) enter(request, ref, project)
  }

  /** The hook behind a request's body: the same once more, counted nowhere. Throws 401, 403, 404. */
  async preHandler(request: FastifyRequest): Promise<void> {
    const { caller, newcomer, project } = request
    if (!hasBody(request)) return
    if (newcomer !== null) request.newcomer = await this.#newcomerNow(request)
    if (caller === null) return
    request.caller = await this.#callerNow(request, caller)
    if (project === null) return
    const { ref } = project.tenant
    enter(request, ref, await this.#findProject(ref, request.caller))
  }

  /** The hook behind every answer: a wrong secret of an open route counts like a wrong bearer. */
  async onResponse(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { isOpen = false } = request.routeOptions.config
    if (isOpen && reply.statusCode === 404) this.#badBearers.add(sourceKey(request.ip))
  }

  /** Throws 401, or 429 for a network that guesses. */
  async identifyToken(text: string, ip: string): Promise<BearerOwner> {
    return await this.admit(text, ip, async () =>
      this.#unlessOver(await this.#deps.bearers.find(new Secret(text))),
    )
  }

  /** A browser's cookie. Throws 401, 403 or 421 for a page that is not ours, 429. */
  async identifyCookie(request: FastifyRequest): Promise<BearerOwner> {
    const origin = refuseForeignPage(request, this.#deps.settings)
    const id = cookieOf(request, origin)
    // What is over the browser need not send again: it would stand in the way of an open route.
    const forget = { 'set-cookie': cookieHeader(origin, null) }
    if (id === null) throw unauthorized('you are not signed in', forget)
    const { isBackground = false } = request.routeOptions.config
    const isUse = !isBackground && request.headers['latchkey-background'] === undefined
    return await this.admit(id.reveal(), request.ip, async () => {
      const owner = await this.#deps.webSessions.find(id, { isUse })
      if (owner !== null) return owner
      throw unauthorized('your session is over; sign in again', forget)
    })
  }

  /**
   * `find` throws 401 for what is nobody's; that is counted. Throws 429 for a network that guesses,
   * but for a secret that was seen good.
   */
  async admit<Found>(secret: string, ip: string, find: () => Promise<Found>): Promise<Found> {
    const source = sourceKey(ip)
    const hash = createHash('sha256').update(secret).digest('base64')
    this.#refuseGuesses(source, hash)
    try {
      const found = await find()
      this.#goodTokens.set(hash, true)
      return found
    } catch (error) {
      if (error instanceof ApiError && error.statusCode === 401) {
        this.#goodTokens.delete(hash)
        this.#badBearers.add(source)
      }
      throw error
    }
  }

  /** Whether what was allowed when a stream was opened still is. */
  async isStillGood(request: FastifyRequest): Promise<boolean> {
    const { project } = request
    try {
      const caller = await this.#identify(request, false)
      if (caller === null || project === null) return false
      const found = await this.#findProject(project.tenant.ref, caller)
      return found?.callerRole === project.callerRole
    } catch (error) {
      if (error instanceof ApiError) return false
      throw error
    }
  }

  /** null, on open routes only: a newcomer. */
  async #identify(request: FastifyRequest, isOpen: boolean): Promise<Caller | null> {
    const { authorization } = request.headers
    if (authorization === undefined && hasCookie(request)) return this.identifyCookie(request)
    const text = bearerOf(authorization)
    if (text === null) throw unauthorized('send a token: Authorization: Bearer sbp_…')
    if (!isOpen) return await this.identifyToken(text, request.ip)
    return await this.admit(text, request.ip, async () => {
      const owner = await this.#deps.bearers.find(new Secret(text))
      if (owner !== null) return this.#unlessOver(owner)
      request.newcomer = await this.#deps.bearers.identityOf(new Secret(text))
      return request.newcomer === null ? this.#unlessOver(null) : null
    })
  }

  /** Whoever was found before, as they are by now; no use of anything. Throws 401. */
  async #callerNow(request: FastifyRequest, { bearer }: Caller): Promise<Caller> {
    const { bearers, settings, webSessions } = this.#deps
    if (request.headers.authorization !== undefined || !hasCookie(request)) {
      return this.#unlessOver(await bearers.ownerOf(bearer))
    }
    const id = cookieOf(request, ownOriginOf(request, settings))
    const owner = id === null ? null : await webSessions.find(id, { isUse: false })
    if (owner === null) throw unauthorized('your session is over; sign in again')
    return owner
  }

  async #newcomerNow({ headers }: FastifyRequest): Promise<SignedInIdentity> {
    const text = bearerOf(headers.authorization)
    const found = text === null ? null : await this.#deps.bearers.identityOf(new Secret(text))
    if (found === null) throw unknownToken()
    return found
  }

  #unlessOver(owner: BearerOwner | null): BearerOwner {
    const nowMs = this.#deps.clock.wallMs()
    if (owner !== null && tokenFault(owner.token, nowMs) === null) return owner
    throw unknownToken()
  }

  #refuseGuesses(source: string, hash: string): void {
    const bad = this.#badBearers.look(source)
    if (bad.count < badBearersPerMinute || this.#goodTokens.has(hash)) return
    throw tooMany('too many unknown tokens from your network', bad.resetSeconds)
  }

  #count(key: string, reply: FastifyReply): void {
    const { count, resetSeconds } = this.#requests.add(key)
    reply.headers({
      'x-ratelimit-limit': String(requestsPerMinute),
      'x-ratelimit-remaining': String(Math.max(0, requestsPerMinute - count)),
      'x-ratelimit-reset': String(resetSeconds),
    })
    if (count > requestsPerMinute) {
      throw tooMany(`more than ${requestsPerMinute} requests a minute`, resetSeconds)
    }
  }

  /** null for a project that is not there and for one that caller or token have nothing to do with. */
  async #findProject(ref: string, caller: Caller): Promise<ProjectView | null> {
    const tenant = await this.#deps.tenants.findByRef(ref)
    const { scope } = caller.token
    if (tenant === null || !coversProject(scope, tenant)) return null
    const rulesRef = rulesRefOf(tenant)
    const [rulesTenant, callerRole] = await Promise.all([
      rulesRef === ref ? tenant : this.#deps.tenants.findByRef(rulesRef),
      this.#deps.members.roleOf(rulesRef, caller.member.userId),
    ])
    if (rulesTenant === null || callerRole === null) return null
    return { tenant, rulesTenant, callerRole, callerScope: scope }
  }
}

/** Throws 404 for no project, or 403. */
function enter(request: FastifyRequest, ref: string, project: ProjectView | null): void {
  if (project === null) throw notFound(`project ${ref} was not found`)
  const { permission } = request.routeOptions.config
  assert(permission !== undefined, 'every route of a project names its permission')
  requirePermission(project, permission)
  request.project = project
}

/** By its head, for an empty body may come slowly too. */
const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'

export function callerOf(request: FastifyRequest): Caller {
  assert(request.caller !== null, 'the authorizer ran before the route')
  return request.caller
}

/** For stores that look at who asks once more, in the transaction of the change. */
export function actingOf(request: FastifyRequest): Acting {
  const { member, token, bearer } = callerOf(request)
  return { userId: member.userId, tokenId: bearer.kind === 'identity' ? null : token.id }
}

export function projectOf(request: FastifyRequest): ProjectView {
  assert(request.project !== null, 'the authorizer ran before the route')
  return request.project
}

/** By what the caller is in the project and by the scope of the token, both. */
export function permits({ callerRole, callerScope }: ProjectView, permission: Permission): boolean {
  return isPermitted(callerRole, permission) && coversPermission(callerScope, permission)
}

/** Throws 403. */
export function requirePermission(project: ProjectView, permission: Permission): void {
  if (permits(project, permission)) return
  throw new ApiError(403, `this needs the permission ${permission}`, {
    body: { missing_permissions: [permission] },
  })
}

/** Owners and administrators see everybody's; the others their own only. */
export function seesEverybody(project: ProjectView): boolean {
  return permits(project, 'database_jit_write')
}

/** Only a token that has no scope is as good as its operator. Throws 403. */
export function refuseUnlessOperator({ member, token }: Caller, what: string): void {
  if (member.isOperator && token.scope === null) return
  throw new ApiError(403, `${what}: only an operator, by a token without a scope, sets these`)
}

/** What holds for a branch is changed on its parent. */
export function refuseOnBranch(project: ProjectView): void {
  const { tenant } = project
  if (tenant.parentRef === null) return
  throw new ApiError(
    409,
    `${tenant.ref} is a branch: this is managed on its parent project ${tenant.parentRef}`,
    { body: { parent_project_ref: tenant.parentRef } },
  )
}

function unauthorized(message: string, headers: Readonly<Record<string, string>> = {}): ApiError {
  return new ApiError(401, message, { headers: { 'www-authenticate': 'Bearer', ...headers } })
}

const unknownToken = (): ApiError =>
  unauthorized('the token is unknown, revoked, logged out or expired')

function tooMany(message: string, seconds: number): ApiError {
  return new ApiError(429, `${message}; try again in ${seconds} s`, {
    headers: { 'retry-after': String(seconds) },
  })
}

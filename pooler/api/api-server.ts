// The HTTP side of Latchkey: builds the server with everything around the routes. Listening and
// closing are the composer's.
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { apiConnectionsMax } from '../config/limits.ts'
import { liveRoute } from '../dashboard/live-route.ts'
import { pageRoutes } from '../dashboard/page-routes.ts'
import { providerRoutes } from '../dashboard/provider-routes.ts'
import { signInRoutes } from '../dashboard/sign-in-routes.ts'
import type { ApiApp } from './api-app.ts'
import type { ApiDeps, ApiSettings } from './api-deps.ts'
import { addApiDocument, documentRoute } from './api-document.ts'
import { Authorizer } from './authorize.ts'
import { ConnectionShares } from './connection-shares.ts'
import { messageAnswers, supavisorAnswers } from './error-answers.ts'
import { isSignedByUs } from './jwt-guard.ts'
import { accessStateRoutes } from './routes/access-state.ts'
import { authSessionRoutes, keySetRoute } from './routes/auth-session.ts'
import { branchRoutes } from './routes/branches.ts'
import { eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { identityRoutes } from './routes/identities.ts'
import { invitationRoutes } from './routes/invitations.ts'
import { loginRoutes } from './routes/login.ts'
import { membershipRoutes } from './routes/memberships.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { networkBanRoutes } from './routes/network-bans.ts'
import { ownAccountRoutes } from './routes/own-account.ts'
import { peopleRoutes } from './routes/people.ts'
import { poolerConfigRoutes } from './routes/pooler-config.ts'
import { projectRoutes } from './routes/projects.ts'
import { ruleRoutes } from './routes/rules.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { tenantActionRoutes } from './routes/tenant-actions.ts'
import { tenantRoutes } from './routes/tenants.ts'
import { answerPlainly } from './server-habits.ts'

/** The largest body is a tenant with all its users; everything else is far below. */
const bodyBytesMax = 512 * 1024
/** From the first byte of a request to its last, and to the end of its handling. */
const requestTimeoutMs = 30_000
const headersTimeoutMs = 10_000
/** Longer than the idle time-out of the usual load balancers, which must be the ones that close. */
const keepAliveTimeoutMs = 65_000
const pathPartCharactersMax = 200

export function createApiServer(deps: ApiDeps): FastifyInstance {
  const { trustedProxies } = deps.settings
  const app = fastify({
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    frameworkErrors: (error, { url }, reply) =>
      answerWithoutRoute(error, url, reply as unknown as FastifyReply),
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    routerOptions: { maxParamLength: pathPartCharactersMax },
    serverFactory: (handler) => openServer(deps.settings, handler),
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.decorateRequest('caller', null)
  app.decorateRequest('newcomer', null)
  app.decorateRequest('project', null)
  app.setErrorHandler(messageAnswers(deps))
  answerPlainly(app, deps)
  addApiDocument(app)
  const authorizer = new Authorizer(deps)
  app.register(async (scope) => personRoutes(scope.withTypeProvider(), deps, authorizer), {
    prefix: '/v1',
  })
  app.register(async (scope) => signInRoutes(scope.withTypeProvider(), deps, authorizer), {
    prefix: '/auth',
  })
  app.register(async (scope) => providerRoutes(scope.withTypeProvider(), deps, authorizer), {
    prefix: '/auth',
  })
  app.register(async (scope) => pageRoutes(scope.withTypeProvider(), deps))
  app.register(async (scope) => operatorRoutes(scope.withTypeProvider(), deps), { prefix: '/api' })
  app.register(async (scope) => openRoutes(scope.withTypeProvider(), deps), { prefix: '/api' })
  app.register(async (scope) => keySetRoute(scope.withTypeProvider(), deps))
  app.register(async (scope) => metricsRoutes(scope.withTypeProvider(), deps))
  return app
}

/** Thrown before a route is found: the path alone tells in which form to answer. */
function answerWithoutRoute(error: FastifyError, url: string, reply: FastifyReply): void {
  const { message, statusCode = 400 } = error
  const isTenants = url.startsWith('/api/tenants')
  reply.code(statusCode).send(isTenants ? { error: message } : { message })
}

/** For people with a token of their own, or a cookie of the dashboard for it. */
function personRoutes(app: ApiApp, deps: ApiDeps, authorizer: Authorizer): void {
  app.addHook('onRequest', (request, reply) => authorizer.onRequest(request, reply))
  app.addHook('preHandler', (request) => authorizer.preHandler(request))
  app.addHook('onResponse', (request, reply) => authorizer.onResponse(request, reply))
  ownAccountRoutes(app, deps)
  authSessionRoutes(app, deps)
  accessStateRoutes(app, deps)
  ruleRoutes(app, deps)
  invitationRoutes(app, deps)
  loginRoutes(app, deps)
  sessionRoutes(app, deps)
  eventRoutes(app, deps)
  membershipRoutes(app, deps)
  branchRoutes(app, deps)
  projectRoutes(app, deps)
  networkBanRoutes(app, deps)
  poolerConfigRoutes(app, deps)
  liveRoute(app, deps, authorizer)
}

/** For whoever holds API_JWT_SECRET. */
function operatorRoutes(app: ApiApp, deps: ApiDeps): void {
  app.addHook('onRequest', async (request, reply) => {
    const { apiJwt } = deps.settings
    const { authorization } = request.headers
    const isOurs =
      apiJwt !== null && (await isSignedByUs(authorization, apiJwt, deps.clock.wallMs()))
    if (!isOurs) return reply.code(403).send()
  })
  app.register(async (scope) => {
    scope.setErrorHandler(supavisorAnswers(deps))
    tenantRoutes(scope.withTypeProvider(), deps)
    tenantActionRoutes(scope.withTypeProvider(), deps)
  })
  peopleRoutes(app, deps)
  identityRoutes(app, deps)
}

/** For everybody. */
function openRoutes(app: ApiApp, deps: ApiDeps): void {
  healthRoutes(app, deps)
  documentRoute(app)
}

function openServer({ tls, trustedProxies }: ApiSettings, handler: RequestListener): Server {
  const options = {
    requestTimeout: requestTimeoutMs,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
  }
  const SNICallback: ServerOptions['SNICallback'] = (name, found) =>
    found(null, tls?.contextFor(name))
  const server =
    tls === null
      ? createServer(options, handler)
      : createTlsServer({ ...options, ...tls.defaultPair, SNICallback }, handler)
  new ConnectionShares(apiConnectionsMax, trustedProxies).guard(server)
  return server
}

// What holds for every answer, whoever gives it: headers, empty bodies, unknown paths, the log line.
import type { FastifyInstance } from 'fastify'
import type { ApiDeps } from './api-deps.ts'
import { badRequest } from './api-error.ts'

export function answerPlainly(app: FastifyInstance, deps: Pick<ApiDeps, 'log' | 'clock'>): void {
  readBodies(app)

  app.setNotFoundHandler((_request, reply) => {
    reply.code(404).send({ message: 'there is nothing at this path' })
  })

  app.addHook('onRequest', async (request) => {
    if (/%00/.test(request.url)) throw badRequest('NUL stands nowhere in a path or query')
  })

  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    reply.header('referrer-policy', 'no-referrer')
    if (reply.hasHeader('content-security-policy')) return
    // Rights and secrets change: nothing is for a cache unless its route says so, or for a frame.
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'")
  })

  app.addHook('preClose', async () => {
    deps.clock.after(closingMsMax, () => app.server.closeAllConnections())
  })

  // The route's pattern, not the address that was asked: people put tokens into both.
  app.addHook('onResponse', async (request, reply) => {
    const fields = {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      address: request.ip,
      userId: request.caller?.member.userId ?? null,
      project: request.project?.tenant.ref ?? null,
    }
    deps.log.debug(fields, 'api request')
  })
}

/** Requests that are under way when the server closes have this long; who reads slower is cut off. */
const closingMsMax = 5_000

/** As written in JSON: an odd number of backslashes before u0000. */
const escapedNul = /(?<!\\)(?:\\\\)*\\u0000/

/** Postgres stores no NUL in text, so none gets as far as a statement. */
function readBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser<string>(
    'application/json',
    { parseAs: 'string' },
    (request, body, done) => {
      // A DELETE with a content type and no body is what many HTTP clients send.
      if (body === '') done(null)
      else if (escapedNul.test(body)) done(badRequest('NUL stands nowhere in a body'))
      else void parseJson(request, body, done)
    },
  )
}

// The page of the dashboard and its files: these, and nothing else of the disk.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ApiApp } from '../api/api-app.ts'
import type { ApiDeps } from '../api/api-deps.ts'
import { ownOriginOf } from '../api/own-origin.ts'
import { type DashboardFile, loadDashboardFiles } from './dashboard-files.ts'

const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

/** Places that the page itself tells apart. */
const pagePaths = [
  '/',
  '/access',
  '/tokens',
  '/invite/:ref',
  '/projects/:ref',
  '/projects/:ref/:section',
]

const yearSeconds = 31_536_000

type PageDeps = Pick<ApiDeps, 'settings' | 'providerSignIn'>

export function pageRoutes(app: ApiApp, { settings, providerSignIn }: PageDeps): void {
  const issuer = providerSignIn === null ? null : settings.identityIssuer
  const { page, files } = loadDashboardFiles(issuer === null ? '' : new URL(issuer).host)
  for (const path of pagePaths) {
    app.get(path, { schema: { hide: true } }, async (request, reply) => {
      ownOriginOf(request, settings)
      reply.headers({ 'content-security-policy': pagePolicy, 'cache-control': 'no-cache' })
      reply.header('cross-origin-opener-policy', 'same-origin')
      return send(request, reply, page)
    })
  }
  for (const [path, file] of files) {
    app.get(path, { schema: { hide: true } }, async (request, reply) => {
      reply.header('cache-control', `public, max-age=${yearSeconds}, immutable`)
      return send(request, reply, file)
    })
  }
}

function send(request: FastifyRequest, reply: FastifyReply, file: DashboardFile): FastifyReply {
  reply.headers({ 'content-type': file.type, vary: 'accept-encoding' })
  const isZipped = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
  if (!isZipped) return reply.send(file.body)
  return reply.header('content-encoding', 'gzip').send(file.gzipped)
}

// The OpenAPI document, made from the schemas of the routes, and the page that shows it.
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import type { ApiApp } from './api-app.ts'

/** The page's own files and calls, and nothing from anywhere else. */
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export function addApiDocument(app: FastifyInstance): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Latchkey',
        description:
          'Temporary access to Postgres databases (/v1, with a personal access token) and the administration of tenants (/api, with an HS256 JWT of API_JWT_SECRET).',
        version: '1',
      },
      components: {
        securitySchemes: {
          accessToken: { type: 'http', scheme: 'bearer', description: 'sbp_…' },
          apiJwt: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        },
      },
    },
    transform: (route) => {
      const { schema, url } = jsonSchemaTransform(route)
      return { url, schema: { ...schema, ...securityOf(url) } }
    },
  })
  app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    transformStaticCSP: () => pagePolicy,
  })
}

export function documentRoute(app: ApiApp): void {
  app.get('/openapi', { schema: { hide: true } }, async () => app.swagger())
}

function securityOf(url: string): { security?: Record<string, string[]>[] } {
  if (url.startsWith('/v1/')) return { security: [{ accessToken: [] }] }
  const isGuarded = url.startsWith('/api/tenants') || url.startsWith('/api/members')
  return isGuarded || url.startsWith('/metrics') ? { security: [{ apiJwt: [] }] } : {}
}

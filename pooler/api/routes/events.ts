// The record of a project, newest first: in pages, as a file, and which server was whose when.
import type { FastifyRequest } from 'fastify'
import type { EventFilter } from '../../store/events.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { callerOf, projectOf, seesEverybody } from '../authorize.ts'
import { eventAnswer, exportEvents, exportFormatOf, exportTypes } from '../event-export.ts'
import { eventListAnswer, eventQuery, holdListAnswer, holdQuery } from '../schemas/access.ts'
import { refParams, refusals } from '../schemas/common.ts'

export function eventRoutes(app: ApiApp, deps: ApiDeps): void {
  app.get(
    '/projects/:ref/database/jit/events',
    {
      config: { permission: 'database_jit_read' },
      schema: {
        params: refParams,
        querystring: eventQuery,
        response: { 200: eventListAnswer, ...refusals },
      },
    },
    async (request, reply) => {
      const { query } = request
      const person = personAskedFor(request, query.user_id)
      const filter: EventFilter = {
        ref: projectOf(request).tenant.ref,
        limit: query.limit,
        concerning: person ?? undefined,
        action: query.action,
        outcome: query.outcome,
        role: query.role,
        sessionId: query.session_id,
        sinceMs: msOf(query.since),
        untilMs: msOf(query.until),
        before: query.cursor,
      }
      const events = person === null ? nobodys : deps.events
      const format = exportFormatOf(query.format, request.headers.accept)
      if (format !== null) {
        reply.type(exportTypes[format])
        reply.header('content-disposition', `attachment; filename="events.${format}"`)
        // A file is not held against the schema of the list.
        return (reply as unknown as { send(body: unknown): never }).send(
          exportEvents(events, filter, format),
        )
      }
      const page = await events.query(filter)
      return { items: page.events.map(eventAnswer), next_cursor: page.next }
    },
  )

  app.get(
    '/projects/:ref/database/jit/holds',
    {
      config: { permission: 'database_jit_read' },
      schema: {
        params: refParams,
        querystring: holdQuery,
        response: { 200: holdListAnswer, ...refusals },
      },
    },
    async (request) => {
      const { query } = request
      const person = personAskedFor(request, query.user_id)
      if (person === null) return { items: [], next_cursor: null }
      const { holds, next } = await deps.holds.query({
        ref: projectOf(request).tenant.ref,
        userId: person,
        sessionId: query.session_id,
        serverProcessId: query.server_process_id,
        sinceMs: msOf(query.since),
        untilMs: msOf(query.until),
        before: query.cursor,
        limit: query.limit,
      })
      return {
        items: holds.map((hold) => ({
          session_id: hold.sessionId,
          user_id: hold.userId,
          role: hold.role,
          server_process_id: hold.serverProcessId,
          from: new Date(hold.fromMs).toISOString(),
          to: hold.toMs === null ? null : new Date(hold.toMs).toISOString(),
        })),
        next_cursor: next,
      }
    },
  )
}

const nobodys = { query: async () => ({ events: [], next: null }) }

/** undefined: everybody. null: without the right to all, somebody else: nothing of theirs is found. */
function personAskedFor(
  request: FastifyRequest,
  asked: string | undefined,
): string | undefined | null {
  if (seesEverybody(projectOf(request))) return asked
  const own = callerOf(request).member.userId
  return asked === undefined || asked === own ? own : null
}

const msOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Date.parse(text)

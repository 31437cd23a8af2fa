// The audit trail of a project, newest first.
import type { z } from 'zod'
import type { EventFilter, StoredEvent } from '../../store/events.ts'
import type { ApiApp } from '../api-app.ts'
import type { ApiDeps } from '../api-deps.ts'
import { callerOf, projectOf, seesEverybody } from '../authorize.ts'
import { eventListAnswer, eventQuery } from '../schemas/access.ts'
import { refParams, refusals } from '../schemas/common.ts'

type EventAnswer = z.infer<typeof eventListAnswer>['items'][number]

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
    async (request) => {
      const project = projectOf(request)
      const { query } = request
      // Without the right to all, a filter for somebody else finds nothing of theirs.
      const person = seesEverybody(project) ? query.user_id : callerOf(request).member.userId
      if (query.user_id !== undefined && query.user_id !== person) {
        return { items: [], next_cursor: null }
      }
      const filter: EventFilter = {
        ref: project.tenant.ref,
        limit: query.limit,
        concerning: person,
        action: query.action,
        role: query.role,
        sessionId: query.session_id,
        sinceMs: msOf(query.since),
        untilMs: msOf(query.until),
        before: query.cursor,
      }
      const { events, next } = await deps.events.query(filter)
      return { items: events.map(eventAnswer), next_cursor: next }
    },
  )
}

const msOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Date.parse(text)

function eventAnswer(event: StoredEvent): EventAnswer {
  return {
    id: String(event.id),
    time: new Date(event.atMs).toISOString(),
    project: event.ref,
    actor: event.actor,
    action: event.action,
    user_id: event.subject,
    role: event.role,
    address: event.address,
    token_id: event.tokenId,
    token_name: event.tokenName,
    application_name: event.applicationName,
    session_id: event.sessionId,
    reason: event.reason,
    duration_ms: event.durationMs,
    transactions: event.transactions,
    bytes: event.bytes,
    count: event.count,
    details: event.details === null ? null : { ...event.details },
  }
}

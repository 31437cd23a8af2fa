// The record as a file: one event a line, read page by page, so that years of it pass through the
// memory of one page. Newest first, as in the list.
import { Readable } from 'node:stream'
import type { z } from 'zod'
import type { AccessEvent, EventFilter, EventStore, StoredEvent } from '../store/events.ts'
import type { eventListAnswer } from './schemas/access.ts'

export type EventAnswer = z.infer<typeof eventListAnswer>['items'][number]

export const exportTypes = {
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
} as const
export type ExportFormat = keyof typeof exportTypes

const pageRows = 500

export function exportEvents(
  events: Pick<EventStore, 'query'>,
  filter: EventFilter,
  format: ExportFormat,
): Readable {
  return Readable.from(linesOf(events, filter, format), { objectMode: false })
}

/** What a program asks for that can read it; null: the list in pages. */
export function exportFormatOf(asked: string | undefined, accept = ''): ExportFormat | null {
  if (asked === 'ndjson' || asked === 'csv') return asked
  if (asked !== undefined) return null
  const types = accept.split(',').map((type) => type.split(';')[0]?.trim().toLowerCase())
  if (types.includes('application/x-ndjson')) return 'ndjson'
  return types.includes('text/csv') ? 'csv' : null
}

async function* linesOf(
  events: Pick<EventStore, 'query'>,
  filter: EventFilter,
  format: ExportFormat,
): AsyncGenerator<string> {
  if (format === 'csv') yield `${columns.join(',')}\r\n`
  let before = filter.before
  do {
    const page = await events.query({ ...filter, before, limit: pageRows })
    const lines = page.events.map((event) => lineOf(eventAnswer(event), format))
    yield lines.join('')
    before = page.next ?? undefined
  } while (before !== undefined)
}

function lineOf(event: EventAnswer, format: ExportFormat): string {
  if (format === 'ndjson') return `${JSON.stringify(event)}\n`
  return `${columns.map((column) => cellOf(event[column])).join(',')}\r\n`
}

/** As RFC 4180 has it. A text that a spreadsheet would run begins with an apostrophe. */
function cellOf(value: EventAnswer[keyof EventAnswer]): string {
  if (value === null) return ''
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export const eventAnswer = (event: StoredEvent): EventAnswer => ({
  id: String(event.id),
  ...eventFields(event),
})

/** All that is told of an event, before it has an id and after. */
export function eventFields(event: AccessEvent): Omit<EventAnswer, 'id'> {
  return {
    time: new Date(event.atMs).toISOString(),
    project: event.ref,
    actor: event.actor,
    action: event.action,
    user_id: event.subject ?? null,
    role: event.role ?? null,
    address: event.address ?? null,
    token_id: event.tokenId ?? null,
    token_name: event.tokenName ?? null,
    application_name: event.applicationName ?? null,
    session_id: event.sessionId ?? null,
    reason: event.reason ?? null,
    duration_ms: event.durationMs ?? null,
    transactions: event.transactions ?? null,
    bytes: event.bytes ?? null,
    count: event.count ?? 1,
    details: event.details == null ? null : { ...event.details },
  }
}

const columns = [
  'id',
  'time',
  'project',
  'actor',
  'action',
  'user_id',
  'role',
  'address',
  'token_id',
  'token_name',
  'application_name',
  'session_id',
  'reason',
  'duration_ms',
  'transactions',
  'bytes',
  'count',
  'details',
] as const satisfies (keyof EventAnswer)[]

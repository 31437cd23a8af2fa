// The record of a project, in pages or whole; and which backend was whose.
import { segment } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import type { Command, OptionSpec } from '../command.ts'
import { findPerson } from '../people.ts'
import { startOf } from '../times.ts'

interface Event {
  readonly time: string
  readonly actor: string | null
  readonly action: string
  readonly user_id: string | null
  readonly role: string | null
  readonly address: string | null
  readonly application_name: string | null
  readonly reason: string | null
  readonly session_id: string | null
  readonly count: number | null
}

interface Hold {
  readonly session_id: string
  readonly user_id: string
  readonly role: string
  readonly server_process_id: number
  readonly from: string
  readonly to: string | null
}

const when: Readonly<Record<string, OptionSpec>> = {
  person: { value: 'who', help: 'A user_id, the e-mail of a member, or me.' },
  session: { value: 'id', help: 'Of this session.' },
  since: { value: 'time', help: 'From then on: 2h (ago), 7d, or a date.' },
  until: { value: 'time', help: 'Before then.' },
  limit: { value: 'number', help: 'At most so many; 100.' },
  cursor: { value: 'cursor', help: 'Goes on behind the page that gave it.' },
}

const events: Command = {
  words: 'events',
  args: ['ref'],
  summary: 'The record: logins, refusals, ends, changes; newest first.',
  options: {
    ...when,
    action: { value: 'action', help: 'login, refused, ended, rule_changed, …' },
    outcome: { value: 'outcome', help: 'allowed or refused.' },
    role: { value: 'role', help: 'Of this role.' },
    export: { value: 'format', help: 'All that match, as ndjson or csv.' },
  },
  async run({ args: [ref = ''], text }, { api, output, nowMs }) {
    const who = text('person')
    const path = `/v1/projects/${segment(ref)}/database/jit/events`
    const format = text('export')
    const query = {
      user_id: who === undefined ? undefined : await findPerson(api, ref, who),
      session_id: text('session'),
      since: startOf(text('since'), nowMs),
      until: startOf(text('until'), nowMs),
      action: text('action'),
      outcome: text('outcome'),
      role: text('role'),
      cursor: text('cursor'),
    }
    if (format !== undefined) {
      if (format !== 'ndjson' && format !== 'csv') {
        throw new CliError('usage', `--export ${format} is neither ndjson nor csv`)
      }
      for await (const piece of api.stream(path, { ...query, format })) output.raw(piece)
      return undefined
    }
    const { body } = await api.get(path, { query: { ...query, limit: text('limit') } })
    const { items, next_cursor: next } = body as {
      items: readonly Event[]
      next_cursor: string | null
    }
    const rows = items.map((event) => ({
      time: event.time,
      action: event.action,
      actor: event.actor,
      person: event.user_id,
      role: event.role,
      from: event.address,
      program: event.application_name,
      reason: event.reason,
      count: event.count === 1 ? null : event.count,
      session: event.session_id,
    }))
    output.list(body, rows, 'Nothing is recorded.')
    if (next !== null) output.note(`more: --cursor ${next}`)
    return undefined
  },
}

const holds: Command = {
  words: 'holds',
  args: ['ref'],
  summary: 'Which backend of the database was whose, from when to when.',
  options: {
    ...when,
    pid: { value: 'pid', help: 'Of this backend: pg_stat_activity.pid, %p in the log.' },
  },
  async run({ args: [ref = ''], text }, { api, output, nowMs }) {
    const who = text('person')
    const { body } = await api.get(`/v1/projects/${segment(ref)}/database/jit/holds`, {
      query: {
        user_id: who === undefined ? undefined : await findPerson(api, ref, who),
        session_id: text('session'),
        server_process_id: text('pid'),
        since: startOf(text('since'), nowMs),
        until: startOf(text('until'), nowMs),
        cursor: text('cursor'),
        limit: text('limit'),
      },
    })
    const { items, next_cursor: next } = body as {
      items: readonly Hold[]
      next_cursor: string | null
    }
    const rows = items.map((hold) => ({
      from: hold.from,
      to: hold.to ?? 'now',
      pid: hold.server_process_id,
      role: hold.role,
      person: hold.user_id,
      session: hold.session_id,
    }))
    output.list(body, rows, 'Nobody held a server.')
    if (next !== null) output.note(`more: --cursor ${next}`)
    return undefined
  },
}

export const eventCommands: readonly Command[] = [events, holds]

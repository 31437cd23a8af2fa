// The record of the project, newest first, with filters; it grows by itself while one looks.
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks'
import { ask, projectApi } from '../ask.ts'
import { actionName, actionNames, eventDetails, toneOf } from '../event-text.ts'
import { html } from '../html.ts'
import { LiveContext } from '../live.ts'
import { Field } from '../parts/fields.ts'
import { Badge, Card, Time } from '../parts/small.ts'
import { Empty, Failure, Loading } from '../parts/states.ts'
import { ProjectContext } from '../project-context.ts'
import type { EventPage, Member, RecordedEvent } from '../shapes.ts'
import { useResource } from '../use-resource.ts'

interface Filter {
  readonly user_id: string
  readonly action: string
  readonly outcome: string
  readonly role: string
  readonly since: string
  readonly until: string
}

const noFilter: Filter = { user_id: '', action: '', outcome: '', role: '', since: '', until: '' }

export function RecordSection() {
  const view = useContext(ProjectContext)
  const [filter, setFilter] = useState(noFilter)
  const members = useResource<readonly Member[]>(
    view?.canRead ? projectApi(view.ref, '/members') : null,
    ['members'],
  )
  if (view === null) return null
  const path = projectApi(view.ref, '/database/jit/events')
  const query = queryOf(filter)
  const exportLink = (format: string) => `${path}?${new URLSearchParams({ ...query, format })}`
  const names = new Map(
    (members.body ?? []).map((one) => [one.user_id, one.primary_email ?? one.username]),
  )
  return html`<${Card} title="Record"
      hint=${view.isManager ? 'Who came in, who was refused and why, and who changed what.' : 'What concerns you.'}
      action=${html`<span class="row"><a class="button" href=${exportLink('csv')} download>Export CSV</a><a class="button" href=${exportLink('ndjson')} download>Export NDJSON</a></span>`}>
    <${Filters} filter=${filter} onFilter=${setFilter} people=${view.isManager ? [...names] : []} />
    <${Events} key=${JSON.stringify(query)} path=${path} query=${query} names=${names} />
  <//>`
}

function queryOf(filter: Filter): Record<string, string> {
  const timeOf = (text: string) => (text === '' ? '' : new Date(text).toISOString())
  const query = { ...filter, since: timeOf(filter.since), until: timeOf(filter.until) }
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''))
}

interface FiltersProps {
  readonly filter: Filter
  readonly onFilter: (filter: Filter) => void
  readonly people: readonly (readonly [string, string])[]
}

function Filters({ filter, onFilter, people }: FiltersProps) {
  const field = (name: keyof Filter, label: string, more: object) =>
    html`<${Field} label=${label} value=${filter[name]} ...${more}
      onValue=${(value: string) => onFilter({ ...filter, [name]: value })} />`
  const isFiltered = Object.values(filter).some((value) => value !== '')
  return html`<form class="filters" role="search" aria-label="Filter the record" onSubmit=${(event: Event) => event.preventDefault()}>
    ${people.length > 0 && field('user_id', 'Person', { options: [['', 'Everybody'], ...people] })}
    ${field('action', 'What', { options: [['', 'Everything'], ...Object.entries(actionNames)] })}
    ${field('outcome', 'Outcome', {
      options: [
        ['', 'Any'],
        ['allowed', 'Let in'],
        ['refused', 'Refused'],
      ],
    })}
    ${field('role', 'Role', { type: 'search' })}
    ${field('since', 'From', { type: 'datetime-local' })}
    ${field('until', 'To', { type: 'datetime-local' })}
    ${isFiltered && html`<button type="button" class="link" onClick=${() => onFilter(noFilter)}>Clear</button>`}
  </form>`
}

interface EventsProps {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly names: ReadonlyMap<string, string>
}

const pageSize = 50
/** A filter is typed letter by letter. */
const typingMs = 250

function Events({ path, query, names }: EventsProps) {
  const [pages, setPages] = useState<readonly EventPage[]>([])
  const [error, setError] = useState<unknown>(null)
  const [isBusy, setBusy] = useState(true)
  const isGone = useRef(false)
  // The parent makes it anew for another query.
  const load = useCallback(async (cursor: string | null, isBackground: boolean) => {
    setBusy(true)
    try {
      const parts = { ...query, limit: String(pageSize), ...(cursor !== null && { cursor }) }
      const text = `${path}?${new URLSearchParams(parts)}`
      const { body } = await ask<EventPage>('GET', text, { isBackground })
      if (isGone.current) return
      setPages((before) => (cursor === null ? [body] : [...before, body]))
      setError(null)
    } catch (failure) {
      if (!isGone.current) setError(failure)
    }
    if (!isGone.current) setBusy(false)
  }, [])
  useEffect(() => {
    const timer = setTimeout(() => void load(null, false), typingMs)
    return () => {
      clearTimeout(timer)
      isGone.current = true
    }
  }, [load])
  const { onChanged } = useContext(LiveContext)
  const pageCount = pages.length
  useEffect(
    () =>
      onChanged((what) => {
        // Whoever reads older pages is not thrown back to the first.
        if (what === 'record' && pageCount <= 1) void load(null, true)
      }),
    [onChanged, load, pageCount],
  )
  const events = pages.flatMap((page) => page.items)
  const next = pages.at(-1)?.next_cursor ?? null
  if (error !== null && pages.length === 0) {
    return html`<${Failure} error=${error} onRetry=${() => void load(null, false)} />`
  }
  if (pages.length === 0) return html`<${Loading} lines=${5} />`
  if (events.length === 0) return html`<${Empty} title="Nothing is recorded that fits" />`
  return html`<table class="cards">
      <caption class="unseen">Events</caption>
      <thead><tr><th>When</th><th>What</th><th>Who</th><th>Role</th><th>From</th><th>Details</th></tr></thead>
      <tbody>${events.map((event) => html`<${EventRow} key=${event.id} event=${event} names=${names} />`)}</tbody>
    </table>
    ${error !== null && html`<${Failure} error=${error} />`}
    ${next !== null && html`<p class="more"><button disabled=${isBusy} onClick=${() => void load(next, false)}>${isBusy ? 'Loading…' : 'Show older'}</button></p>`}`
}

function EventRow({ event, names }: { event: RecordedEvent; names: EventsProps['names'] }) {
  const nameOf = (id: string | null) => (id === null ? null : (names.get(id) ?? id))
  const actor = nameOf(event.actor)
  const subject = event.user_id === event.actor ? null : nameOf(event.user_id)
  return html`<tr>
    <td data-label="When"><${Time} at=${Date.parse(event.time)} /></td>
    <td data-label="What"><${Badge} tone=${toneOf(event)}>${actionName(event.action)}<//></td>
    <td data-label="Who"><span class="clip">${actor ?? html`<span class="muted">unknown</span>`}</span>${subject !== null && html`<div class="muted small clip">to ${subject}</div>`}</td>
    <td data-label="Role">${event.role !== null && html`<code>${event.role}</code>`}</td>
    <td data-label="From">${event.address !== null && html`<code>${event.address}</code>`}</td>
    <td data-label="Details" class="small">${eventDetails(event)}</td>
  </tr>`
}

// What stands where there is nothing yet, nothing at all, or no answer.
import { ApiFailure, messageOf } from '../ask.ts'
import { html, type Shown } from '../html.ts'
import type { Resource } from '../use-resource.ts'

export const Loading = ({ lines = 3 }: { lines?: number }) =>
  html`<div class="skeleton" role="status" aria-label="Loading">
    ${Array.from({ length: lines }, (_one, at) => html`<div key=${at} class="bar"></div>`)}
  </div>`

export const Empty = ({ title, children }: { title: string; children?: Shown }) =>
  html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const isForbidden = error instanceof ApiFailure && error.status === 403
  return html`<div class="empty" role="alert">
    <p class="empty-title">${isForbidden ? 'Not yours to see' : 'This did not work'}</p>
    <p>${messageOf(error)}</p>
    ${onRetry !== undefined && !isForbidden && html`<button onClick=${onRetry}>Try again</button>`}
  </div>`
}

/** The content once it is there; what is there stays while it is asked for again. */
export function Settled<Body>(props: {
  resource: Resource<Body>
  show: (body: Body) => Shown
  lines?: number
}) {
  const { resource, show, lines } = props
  if (resource.body !== null) return html`${show(resource.body)}`
  if (resource.error !== null) {
    return html`<${Failure} error=${resource.error} onRetry=${resource.reload} />`
  }
  return html`<${Loading} lines=${lines} />`
}

// What somebody who gives no rules has of them, in one project.
import { ApiFailure, projectApi } from '../ask.ts'
import { networksOf } from '../grants.ts'
import { html } from '../html.ts'
import { Card, Time } from '../parts/small.ts'
import { Empty, Failure, Loading } from '../parts/states.ts'
import type { Mapping } from '../shapes.ts'
import { useResource } from '../use-resource.ts'

export function OwnRules({ ref_: ref }: { ref_: string }) {
  const own = useResource<Mapping>(projectApi(ref, '/database/jit'), ['rules', 'members'])
  const isNone = own.error instanceof ApiFailure && own.error.status === 406
  const content = () => {
    if (isNone)
      return html`<${Empty} title="You have no rule here"><p>An administrator of the project can give you one.</p><//>`
    if (own.body !== null) return html`<${OwnTable} mapping=${own.body} />`
    return own.error === null
      ? html`<${Loading} />`
      : html`<${Failure} error=${own.error} onRetry=${own.reload} />`
  }
  return html`<${Card} title="Your rules" hint=${html`What to connect with is on <a href="/access">My access</a>.`}>${content()}<//>`
}

const OwnTable = ({ mapping }: { mapping: Mapping }) =>
  html`<table class="cards">
    <caption class="unseen">Your rules</caption>
    <thead><tr><th>Role</th><th>Ends</th><th>From</th></tr></thead>
    <tbody>${mapping.user_roles.map(
      (grant) => html`<tr key=${grant.role}>
        <td data-label="Role"><code>${grant.role}</code></td>
        <td data-label="Ends">${grant.expires_at === undefined ? 'no end' : html`<${Time} at=${grant.expires_at * 1000} />`}</td>
        <td data-label="From">${networksOf(grant).join(', ') || 'anywhere'}</td>
      </tr>`,
    )}</tbody>
  </table>`

import { useContext, useState } from 'preact/hooks'
import { ask, projectApi } from '../ask.ts'
import { html } from '../html.ts'
import { Question } from '../parts/dialog.ts'
import { Person, Time } from '../parts/small.ts'
import { Empty } from '../parts/states.ts'
import { tell } from '../parts/toasts.ts'
import { ProjectContext } from '../project-context.ts'
import type { LiveSession } from '../shapes.ts'

interface SessionsTableProps {
  readonly sessions: readonly LiveSession[]
  readonly onEnded: () => void
}

export function SessionsTable({ sessions, onEnded }: SessionsTableProps) {
  const view = useContext(ProjectContext)
  const ref = view?.ref ?? ''
  const [chosen, setChosen] = useState<LiveSession | null>(null)
  const end = async (session: LiveSession) => {
    await ask('DELETE', projectApi(ref, `/database/jit/sessions/${encodeURIComponent(session.id)}`))
    tell('The session is ended')
    onEnded()
  }
  if (sessions.length === 0) {
    return html`<${Empty} title=${view?.isManager ? 'Nobody is in right now' : 'You are not in right now'} />`
  }
  return html`<table class="cards">
      <caption class="unseen">Live sessions</caption>
      <thead><tr><th>Member</th><th>Role</th><th>From</th><th>Since</th><th>Ends</th><th><span class="unseen">Actions</span></th></tr></thead>
      <tbody>${sessions.map(
        (one) => html`<tr key=${one.id}>
          <td data-label="Member"><${Person} name=${one.email ?? one.user_id} email=${null} /></td>
          <td data-label="Role"><code>${one.role}</code></td>
          <td data-label="From"><code>${one.address}</code>${one.application_name && html`<div class="muted small">${one.application_name}</div>`}</td>
          <td data-label="Since"><${Time} at=${Date.parse(one.started_at)} /></td>
          <td data-label="Ends">${one.expires_at === null ? html`<span class="muted">no end</span>` : html`<${Time} at=${one.expires_at * 1000} />`}</td>
          <td class="actions"><button onClick=${() => setChosen(one)} aria-label=${`End the session of ${one.email ?? one.user_id}`}>End</button></td>
        </tr>`,
      )}</tbody>
    </table>
    ${
      chosen !== null &&
      html`<${Question} title="End this session?" confirm="End session" isDangerous=${true}
        onConfirm=${() => end(chosen)} onClose=${() => setChosen(null)}>
      <p><strong>${chosen.email ?? chosen.user_id}</strong> as <code>${chosen.role}</code> from <code>${chosen.address}</code> is told and closed within a second; an open transaction is rolled back.</p>
      <p class="muted">The rule stays: they may log in again. To prevent that, remove the rule.</p>
    <//>`
    }`
}

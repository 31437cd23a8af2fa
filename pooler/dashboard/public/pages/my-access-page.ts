// All that the person may log in to, over all projects, each with a line to paste and a dry run.
import { useState } from 'preact/hooks'
import { ask, projectApi } from '../ask.ts'
import { reasonText } from '../event-text.ts'
import { networksOf } from '../grants.ts'
import { html } from '../html.ts'
import { Badge, Copy, Time } from '../parts/small.ts'
import { Empty, Settled } from '../parts/states.ts'
import { tellFailure } from '../parts/toasts.ts'
import type { CheckAnswer, OwnAccess } from '../shapes.ts'
import { useResource } from '../use-resource.ts'
import { useTitle } from '../use-title.ts'

interface AccessWithLines extends OwnAccess {
  readonly connection_strings: {
    readonly transaction: string
    readonly session: string
    readonly direct: string | null
  }
}

export function MyAccessPage() {
  useTitle('My access')
  const access = useResource<{ items: readonly AccessWithLines[] }>('/v1/profile/access')
  return html`<h1>My access</h1>
    <p class="muted lead">What you may log in to with a token of yours, and until when.</p>
    <${Settled} resource=${access} show=${({ items }: { items: readonly AccessWithLines[] }) =>
      items.length === 0
        ? html`<${Empty} title="You have no rules"><p>Ask an administrator of the project to give you one.</p><//>`
        : html`<div class="stack">${items.map(
            (one) => html`<${AccessCard} key=${`${one.project.ref} ${one.role}`} access=${one} />`,
          )}</div>`} />`
}

function AccessCard({ access }: { access: AccessWithLines }) {
  const { project, role, expires_at: seconds, connection_strings: lines } = access
  const [check, setCheck] = useState<CheckAnswer | null>(null)
  const run = async () => {
    try {
      const path = projectApi(project.ref, '/database/jit/check')
      setCheck((await ask<CheckAnswer>('POST', path, { body: { role } })).body)
    } catch (error) {
      tellFailure(error)
    }
  }
  const line = `psql "${lines.transaction}"`
  return html`<section class="card">
    <header class="card-head">
      <div><h2><code>${role}</code> in ${project.name}</h2>
        <p class="muted">${seconds === undefined ? 'No end' : html`Ends <${Time} at=${seconds * 1000} />`}
          ${' · '}${networksOf(access).join(', ') || 'from anywhere'}
          ${access.branches_only && ' · branches only'}${access.reason && ` · ${access.reason}`}</p></div>
      <div class="card-action row"><${Badge} tone=${access.is_active ? 'good' : 'plain'}>${access.is_active ? 'Active' : 'Not active'}<//>
        <button onClick=${run}>Check</button></div>
    </header>
    <div class="snippet"><pre tabindex="0" aria-label=${`psql line for ${role}`}>${line}</pre><${Copy} text=${line} label="psql line" /></div>
    <p class="hint">psql asks for the password: paste a token.
      <span class="row inline">Also: <${Copy} text=${lines.session} label="session port URL" /> session port
      ${lines.direct !== null && html`<${Copy} text=${lines.direct} label="direct URL" /> direct`}</span></p>
    <div aria-live="polite">${check !== null && html`<${CheckResult} check=${check} />`}</div>
  </section>`
}

const checkNames: Readonly<Record<string, string>> = {
  project: 'The project is open',
  assignable: 'The role may be given',
  token: 'Token is good',
  scope: 'Token’s scope fits',
  state: 'Temporary access is on',
  rule: 'There is a rule',
  role: 'The rule gives this role',
  expiry: 'The rule is not over',
  branch: 'Project or branch fits',
  network: 'Your address fits',
}

function CheckResult({ check }: { check: CheckAnswer }) {
  return html`${check.results.map(
    (result) => html`<div class="note ${result.allowed ? 'ok' : 'warn'}" key=${result.role}>
      <p><strong>${result.allowed ? 'You would be let in' : 'You would be refused'}</strong> from <code>${check.rhost}</code>.</p>
      <ul class="checks">${result.checks.map(
        (one) => html`<li key=${one.check}>
          <span class="mark ${one.passed === null ? 'unknown' : one.passed ? 'yes' : 'no'}" role="img"
            aria-label=${one.passed === null ? 'not tested' : one.passed ? 'passed' : 'failed'}></span>
          ${checkNames[one.check] ?? one.check.replaceAll('_', ' ')}${one.reason !== null && html`: ${reasonText(one.reason)}`}</li>`,
      )}</ul>
      ${result.warnings.map((text) => html`<p class="small" key=${text}>${text}</p>`)}
    </div>`,
  )}`
}

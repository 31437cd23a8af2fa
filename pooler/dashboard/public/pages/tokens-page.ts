// The person's own tokens: what they may, when they were used, and the making of a new one.
import { useState } from 'preact/hooks'
import { ask } from '../ask.ts'
import { html } from '../html.ts'
import { Dialog, Question } from '../parts/dialog.ts'
import { Badge, Card, Copy, Time, useNow } from '../parts/small.ts'
import { Empty, Settled } from '../parts/states.ts'
import { tell } from '../parts/toasts.ts'
import type { Token } from '../shapes.ts'
import { useResource } from '../use-resource.ts'
import { useTitle } from '../use-title.ts'
import { type NewToken, TokenSheet } from './token-sheet.ts'

export function TokensPage() {
  useTitle('Tokens')
  const tokens = useResource<readonly Token[]>('/v1/access-tokens')
  const [isMaking, setMaking] = useState(false)
  const [made, setMade] = useState<NewToken | null>(null)
  const [revoked, setRevoked] = useState<Token | null>(null)
  const revoke = async (token: Token) => {
    await ask('DELETE', `/v1/access-tokens/${token.id}`)
    tell(`Token “${token.name}” is revoked`)
    tokens.reload()
  }
  return html`<h1>Tokens</h1>
    <${Card} title="Personal access tokens"
      hint="A token is your password for databases, for the API and for this page. Only its hash is stored."
      action=${html`<button class="primary" onClick=${() => setMaking(true)}>New token</button>`}>
      <${Settled} resource=${tokens} show=${(list: readonly Token[]) =>
        list.length === 0
          ? html`<${Empty} title="No tokens" />`
          : html`<${TokenTable} tokens=${list} onRevoke=${setRevoked} />`} />
    <//>
    ${
      isMaking &&
      html`<${TokenSheet} onClose=${() => setMaking(false)} onMade=${(token: NewToken) => {
        setMaking(false)
        setMade(token)
        tokens.reload()
      }} />`
    }
    ${
      made !== null &&
      html`<${Dialog} title="Your new token" kind="question" onClose=${() => setMade(null)} isSticky=${true}>
      <p>Copy it now: it is <strong>shown only this once</strong>.</p>
      <div class="secret"><code>${made.token}</code><${Copy} text=${made.token} label="token" /></div>
      <footer><button class="primary" onClick=${() => setMade(null)}>I have it</button></footer>
    <//>`
    }
    ${
      revoked !== null &&
      html`<${Question} title="Revoke this token?" confirm="Revoke" isDangerous=${true}
        onConfirm=${() => revoke(revoked)} onClose=${() => setRevoked(null)}>
      <p><strong>${revoked.name}</strong> (<code>${revoked.prefix}…</code>) stops working everywhere. Database sessions and pages that it opened end within a second${' '}
      – this one too, if you signed in with it.</p>
    <//>`
    }`
}

interface TokenTableProps {
  readonly tokens: readonly Token[]
  readonly onRevoke: (token: Token) => void
}

function TokenTable({ tokens, onRevoke }: TokenTableProps) {
  const now = useNow()
  return html`<table class="cards">
    <caption class="unseen">Tokens</caption>
    <thead><tr><th>Name</th><th>May</th><th>Last used</th><th>Ends</th><th><span class="unseen">Actions</span></th></tr></thead>
    <tbody>${tokens.map(
      (token) => html`<tr key=${token.id}>
        <td data-label="Name"><span class="person-name">${token.name}</span> <code class="muted small">${token.prefix}…</code></td>
        <td data-label="May"><${Scope} token=${token} /></td>
        <td data-label="Last used">${token.last_used_at === null ? html`<span class="muted">never</span>` : html`<${Time} at=${Date.parse(token.last_used_at)} />`}</td>
        <td data-label="Ends">${endOf(token, now)}</td>
        <td class="actions"><button onClick=${() => onRevoke(token)} aria-label=${`Revoke ${token.name}`}>Revoke</button></td>
      </tr>`,
    )}</tbody>
  </table>`
}

function endOf({ expires_at: seconds }: Token, now: number) {
  if (seconds === null) return html`<span class="muted">no end</span>`
  if (seconds * 1000 <= now) return html`<${Badge}>Over<//>`
  return html`<${Time} at=${seconds * 1000} />`
}

function Scope({ token }: { token: Token }) {
  if (token.permissions === null) return html`<${Badge} tone="warn">All that you may<//>`
  const lists = [token.permissions, token.projects, token.roles, token.networks]
  return html`${lists.map(
    (list, at) =>
      list !== null &&
      html`<div class="small" key=${at}>${list.map((one) => html`<code class="tag" key=${one}>${one}</code> `)}</div>`,
  )}`
}

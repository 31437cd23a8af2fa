// The switch of temporary access, with what it will end, or why it cannot be switched on.
import { useContext, useState } from 'preact/hooks'
import { ask, projectApi } from '../ask.ts'
import { plural } from '../format.ts'
import { html, type Shown } from '../html.ts'
import { Question } from '../parts/dialog.ts'
import { Card } from '../parts/small.ts'
import { Settled } from '../parts/states.ts'
import { tell } from '../parts/toasts.ts'
import { ProjectContext } from '../project-context.ts'
import type { AccessState, LiveSession } from '../shapes.ts'
import type { Resource } from '../use-resource.ts'

const reasons: Readonly<Record<string, string>> = {
  platform_unsupported:
    'Clients of this pooler cannot have TLS, and tokens are taken over TLS only. An operator sets GLOBAL_DOWNSTREAM_CERT_PATH.',
  postgres_upgrade_required: 'The database is older than Postgres 17. Upgrade it first.',
  ssl_enforcement_required:
    'TLS is not enforced in this project: a token must never travel in clear.',
  temporarily_unavailable: 'The database cannot be reached right now. Try again in a moment.',
}

interface StateSwitchProps {
  readonly resource: Resource<AccessState>
  readonly sessions: readonly LiveSession[]
}

type Asked = 'enable' | 'disable' | 'tls'

export function StateSwitch({ resource, sessions }: StateSwitchProps) {
  const view = useContext(ProjectContext)
  const [asked, setAsked] = useState<Asked | null>(null)
  const ref = view?.ref ?? ''
  const put = async (state: 'enabled' | 'disabled') => {
    await ask('PUT', projectApi(ref, '/jit-access'), { body: { state } })
    tell(`Temporary access is switched ${state === 'enabled' ? 'on' : 'off'}`)
    resource.reload()
  }
  const enforceTls = async () => {
    const body = { requestedConfig: { database: true } }
    await ask('PUT', projectApi(ref, '/ssl-enforcement'), { body })
    tell('TLS is enforced')
    resource.reload()
  }
  const close = () => setAsked(null)
  return html`<${Card} title="Temporary access"
      hint="People log in to the database as a role of it, with a token of their own."
      action=${html`<${Switch} resource=${resource} canSwitch=${view?.canManage === true} onAsk=${setAsked} />`}>
    <${Settled} resource=${resource} lines=${1} show=${(body: AccessState) =>
      explain(body, view?.canManage === true, setAsked)} />
    ${
      asked === 'disable' &&
      html`<${Question} title="Switch temporary access off?" confirm="Switch off"
        isDangerous=${true} onConfirm=${() => put('disabled')} onClose=${close}>
      <p>${
        sessions.length === 0
          ? 'Nobody is in right now.'
          : html`This ends <strong>${plural(sessions.length, 'live session')}</strong> at once.`
      } Rules are kept, and hold again when it is switched on.</p>
    <//>`
    }
    ${
      asked === 'enable' &&
      html`<${Question} title="Switch temporary access on?" confirm="Switch on"
        onConfirm=${() => put('enabled')} onClose=${close}>
      <p>From then on everybody with a rule may log in with a token.</p>
    <//>`
    }
    ${
      asked === 'tls' &&
      html`<${Question} title="Enforce TLS?" confirm="Enforce TLS"
        onConfirm=${enforceTls} onClose=${close}>
      <p>Clients of this project that connect without TLS are refused from then on, applications too.</p>
    <//>`
    }
  <//>`
}

interface SwitchProps {
  readonly resource: Resource<AccessState>
  readonly canSwitch: boolean
  readonly onAsk: (asked: Asked) => void
}

function Switch({ resource, canSwitch, onAsk }: SwitchProps) {
  const state = resource.body?.state
  if (state === undefined) return null
  const isOn = state === 'enabled'
  return html`<button role="switch" class="switch" aria-checked=${String(isOn)}
    aria-label="Temporary access" disabled=${!canSwitch || state === 'unavailable'}
    onClick=${() => onAsk(isOn ? 'disable' : 'enable')}>
    <span class="switch-track" aria-hidden="true"></span>${isOn ? 'On' : 'Off'}
  </button>`
}

function explain(
  { state, unavailableReason = '' }: AccessState,
  canManage: boolean,
  onAsk: (asked: Asked) => void,
): Shown {
  if (state !== 'unavailable') return null
  return html`<div class="note warn">
    <p><strong>It cannot be switched on.</strong> ${reasons[unavailableReason] ?? unavailableReason}</p>
    ${canManage && unavailableReason === 'ssl_enforcement_required' && html`<button onClick=${() => onAsk('tls')}>Enforce TLS…</button>`}
  </div>`
}

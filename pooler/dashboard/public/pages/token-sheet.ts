import { useState } from 'preact/hooks'
import { ask } from '../ask.ts'
import { type ExpiryChoice, readExpiry, tokenPresets } from '../expiry.ts'
import { html } from '../html.ts'
import { readTypedNetworks } from '../networks.ts'
import { Dialog } from '../parts/dialog.ts'
import { Check, ExpiryField, Field, NetworksField } from '../parts/fields.ts'
import type { Project, Token } from '../shapes.ts'
import { useResource } from '../use-resource.ts'
import { refuse, useTask } from '../use-task.ts'

export interface NewToken extends Token {
  readonly token: string
}

interface TokenSheetProps {
  readonly onClose: () => void
  readonly onMade: (token: NewToken) => void
}

interface Form {
  readonly name: string
  readonly kind: 'scoped' | 'classic'
  readonly permissions: readonly string[]
  readonly projects: readonly string[]
  readonly roles: string
  readonly networks: string
  readonly expiry: ExpiryChoice
}

const permissionTexts: readonly (readonly [string, string, string])[] = [
  [
    'database_jit_read',
    'Log in to databases',
    'With your own rules, and see your own sessions and record.',
  ],
  ['project_admin_read', 'See projects', 'State, members and branches.'],
  [
    'database_jit_write',
    'Manage temporary access',
    'Rules, invitations, everybody’s sessions and record.',
  ],
  ['project_admin_write', 'Manage projects', 'State, members and branches.'],
]

const tokenDaysMax = 366

export function TokenSheet({ onClose, onMade }: TokenSheetProps) {
  const [form, setForm] = useState<Form>({
    name: '',
    kind: 'scoped',
    permissions: ['database_jit_read'],
    projects: [],
    roles: '',
    networks: '',
    expiry: { preset: '2592000', custom: '' },
  })
  const { isBusy, fault, start, clear } = useTask(async () => {
    refuse(faultOf(form))
    onMade((await ask<NewToken>('POST', '/v1/access-tokens', { body: bodyOf(form) })).body)
  })
  const set = (change: Partial<Form>) => {
    clear()
    setForm((before) => ({ ...before, ...change }))
  }
  const { fault: expiryFault } = readExpiry(form.expiry, Date.now(), tokenDaysMax)
  return html`<${Dialog} title="New token" onClose=${onClose}>
    <form onSubmit=${start} novalidate>
      <${Field} label="Name" value=${form.name} onValue=${(name: string) => set({ name })}
        hint="What it is for: laptop, nightly job, …" more=${{ autofocus: true, maxlength: 255 }} />
      <${Field} label="Kind" value=${form.kind} onValue=${(kind: Form['kind']) => set({ kind })}
        options=${[['scoped', 'Scoped: only what is chosen here'], ['classic', 'Classic: all that I may']]} />
      ${form.kind === 'scoped' && html`<${ScopeFields} form=${form} onForm=${set} />`}
      <${ExpiryField} presets=${tokenPresets} choice=${form.expiry} fault=${expiryFault}
        onChoice=${(expiry: ExpiryChoice) => set({ expiry })} />
      <footer>
        ${fault !== null && html`<p class="fault" role="alert">${fault}</p>`}
        <button type="button" onClick=${onClose}>Cancel</button>
        <button class="primary" disabled=${isBusy}>${isBusy ? 'Making…' : 'Make token'}</button>
      </footer>
    </form>
  <//>`
}

function ScopeFields({ form, onForm }: { form: Form; onForm: (change: Partial<Form>) => void }) {
  const projects = useResource<readonly Project[]>('/v1/projects')
  const toggled = (list: readonly string[], one: string, is: boolean) =>
    is ? [...list, one] : list.filter((other) => other !== one)
  return html`<fieldset class="field"><legend>It may</legend><div class="choices">
      ${permissionTexts.map(
        ([name, label, hint]) => html`<${Check} key=${name} label=${label} hint=${hint}
          isChecked=${form.permissions.includes(name)}
          onCheck=${(is: boolean) => onForm({ permissions: toggled(form.permissions, name, is) })} />`,
      )}
    </div></fieldset>
    ${
      projects.body !== null &&
      projects.body.length > 0 &&
      html`<fieldset class="field">
      <legend>In these projects</legend><p class="hint">None chosen: in all of yours.</p><div class="choices">
      ${projects.body.map(
        (one) => html`<${Check} key=${one.ref} label=${one.name} hint=${one.ref}
          isChecked=${form.projects.includes(one.ref)}
          onCheck=${(is: boolean) => onForm({ projects: toggled(form.projects, one.ref, is) })} />`,
      )}
    </div></fieldset>`
    }
    <${Field} label="As these roles" value=${form.roles} onValue=${(roles: string) => onForm({ roles })}
      hint="Separated by commas. Empty: all that your rules give." />
    <${NetworksField} value=${form.networks} onValue=${(networks: string) => onForm({ networks })}
      hint="For database logins. One a line; empty: from anywhere." />`
}

function faultOf(form: Form): string | null {
  if (form.name.trim() === '') return 'Give it a name'
  if (form.kind === 'scoped' && form.permissions.length === 0) return 'Choose what it may'
  if (readTypedNetworks(form.networks).faults.length > 0) return 'Correct the address ranges first'
  return readExpiry(form.expiry, Date.now(), tokenDaysMax).fault
}

/** A list that is left out is no limit; an empty one the API refuses. */
function bodyOf(form: Form): Record<string, unknown> {
  const { expiresAt } = readExpiry(form.expiry, Date.now(), tokenDaysMax)
  const shared = { name: form.name.trim(), ...(expiresAt !== null && { expires_at: expiresAt }) }
  if (form.kind === 'classic') return shared
  const { v4, v6 } = readTypedNetworks(form.networks)
  const networks = [...v4, ...v6]
  const roles = form.roles
    .split(',')
    .map((role) => role.trim())
    .filter((role) => role !== '')
  return {
    ...shared,
    permissions: form.permissions,
    ...(form.projects.length > 0 && { projects: form.projects }),
    ...(roles.length > 0 && { roles }),
    ...(networks.length > 0 && { networks }),
  }
}

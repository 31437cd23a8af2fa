// The sheet that gives somebody roles, invites somebody new, or changes one rule.
import { useContext, useState } from 'preact/hooks'
import { ApiFailure, ask, messageOf, projectApi } from '../ask.ts'
import { type ExpiryChoice, localInput, readExpiry, rulePresets } from '../expiry.ts'
import { plural } from '../format.ts'
import { grantOf, networksOf, withGrants } from '../grants.ts'
import { html } from '../html.ts'
import { readTypedNetworks } from '../networks.ts'
import { Dialog } from '../parts/dialog.ts'
import { Check, ExpiryField, Field, NetworksField } from '../parts/fields.ts'
import { Copy } from '../parts/small.ts'
import { tell } from '../parts/toasts.ts'
import { ProjectContext } from '../project-context.ts'
import type { CheckAnswer, Grant, Mapping, Member } from '../shapes.ts'
import { useResource } from '../use-resource.ts'
import { refuse, useTask } from '../use-task.ts'
import { RoleChoice } from './role-choice.ts'

export interface EditedRule {
  readonly userId: string
  readonly email: string | null
  readonly grant: Grant
  /** Sessions that rest on it right now. */
  readonly live: number
}

interface RuleSheetProps {
  readonly edited?: EditedRule
  readonly onClose: () => void
  readonly onSaved: () => void
}

interface Form {
  /** user_id, or `invite`. */
  readonly person: string
  readonly email: string
  readonly roles: readonly string[]
  readonly expiry: ExpiryChoice
  readonly networks: string
  readonly branchesOnly: boolean
  readonly reason: string
}

interface Done {
  readonly link: string | null
  readonly warnings: readonly string[]
}

const ruleDaysMax = 90

function formOf(edited: EditedRule | undefined): Form {
  const endsAt = edited?.grant.expires_at
  const preset = edited === undefined ? '3600' : endsAt === undefined ? 'never' : 'custom'
  return {
    person: edited?.userId ?? '',
    email: '',
    roles: edited === undefined ? [] : [edited.grant.role],
    expiry: { preset, custom: endsAt === undefined ? '' : localInput(endsAt * 1000) },
    networks: edited === undefined ? '' : networksOf(edited.grant).join('\n'),
    branchesOnly: edited?.grant.branches_only ?? false,
    reason: edited?.grant.reason ?? '',
  }
}

const refusalText = (error: unknown): string =>
  error instanceof ApiFailure && error.status === 412
    ? 'Somebody changed these rules meanwhile. Close this and look again.'
    : messageOf(error)

export function RuleSheet({ edited, onClose, onSaved }: RuleSheetProps) {
  const ref = useContext(ProjectContext)?.ref ?? ''
  const [form, setForm] = useState(() => formOf(edited))
  const [done, setDone] = useState<Done | null>(null)
  const { isBusy, fault, start, clear } = useTask(async () => {
    refuse(faultOf(form))
    const result = await save(ref, form, edited)
    onSaved()
    if (result.link === null && result.warnings.length === 0) {
      tell(edited === undefined ? 'The rule is given' : 'The rule is changed')
      onClose()
    } else setDone(result)
  }, refusalText)
  const set = (change: Partial<Form>) => {
    clear()
    setForm((before) => ({ ...before, ...change }))
  }
  if (done !== null)
    return html`<${DoneSheet} done=${done} email=${form.email} onClose=${onClose} />`
  const title = edited === undefined ? 'Add rule' : `Edit ${edited.grant.role}`
  const { fault: expiryFault } = readExpiry(form.expiry, Date.now(), ruleDaysMax)
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${start} novalidate>
      ${
        edited === undefined
          ? html`<${PersonChoice} form=${form} onForm=${set} />
            <${RoleChoice} chosen=${form.roles} onChoice=${(roles: readonly string[]) => set({ roles })} />`
          : html`<${WhoIsEdited} edited=${edited} />`
      }
      <${ExpiryField} presets=${rulePresets} choice=${form.expiry} fault=${expiryFault}
        onChoice=${(expiry: ExpiryChoice) => set({ expiry })} />
      <${NetworksField} value=${form.networks} onValue=${(networks: string) => set({ networks })} />
      <${OwnAddress} onAddress=${(cidr: string) => set({ networks: form.networks === '' ? cidr : `${form.networks}\n${cidr}` })} />
      <${Check} label="On branches only" hint="Opens the project’s branches and not the project itself."
        isChecked=${form.branchesOnly} onCheck=${(branchesOnly: boolean) => set({ branchesOnly })} />
      <${Field} label="Reason" value=${form.reason} hint="Stands in the record."
        onValue=${(reason: string) => set({ reason })} more=${{ maxlength: 500 }} />
      <footer>
        ${fault !== null && html`<p class="fault" role="alert">${fault}</p>`}
        <button type="button" onClick=${onClose}>Cancel</button>
        <button class="primary" disabled=${isBusy}>${isBusy ? 'Saving…' : edited === undefined ? (form.person === 'invite' ? 'Invite' : 'Add rule') : 'Save'}</button>
      </footer>
    </form>
  <//>`
}

function WhoIsEdited({ edited }: { edited: EditedRule }) {
  const { email, userId, grant, live } = edited
  return html`<p><strong>${email ?? userId}</strong> as <code>${grant.role}</code></p>
    ${
      live > 0 &&
      html`<p class="note">They are in right now (${plural(live, 'live session')}). What the changed
        rule still allows goes on with its new end; what it does not is ended at once.</p>`
    }`
}

function PersonChoice({ form, onForm }: { form: Form; onForm: (change: Partial<Form>) => void }) {
  const ref = useContext(ProjectContext)?.ref ?? ''
  const members = useResource<readonly Member[]>(projectApi(ref, '/members'), ['members'])
  const options = [
    ['', members.body === null ? 'Loading…' : 'Choose a member'],
    ...(members.body ?? []).map((one) => [
      one.user_id,
      one.primary_email === null ? one.username : `${one.username} (${one.primary_email})`,
    ]),
    ['invite', 'Somebody new: invite by e-mail…'],
  ] as [string, string][]
  return html`<${Field} label="Member" value=${form.person} options=${options}
      onValue=${(person: string) => onForm({ person })} more=${{ autofocus: true }}
      fault=${members.error === null ? null : messageOf(members.error)} />
    ${
      form.person === 'invite' &&
      html`<${Field} label="E-mail" type="email" value=${form.email}
      onValue=${(email: string) => onForm({ email })}
      hint="They get these rules when they accept, within 7 days. The time counts from then." />`
    }`
}

/** The address that this page is asked from, as the API sees it. */
function OwnAddress({ onAddress }: { onAddress: (cidr: string) => void }) {
  const ref = useContext(ProjectContext)?.ref ?? ''
  const add = async () => {
    const { body } = await ask<CheckAnswer>('POST', projectApi(ref, '/database/jit/check'), {
      body: {},
    })
    onAddress(`${body.rhost}/${body.rhost.includes(':') ? 128 : 32}`)
  }
  return html`<button type="button" class="link" onClick=${add}>Add the address I am at</button>`
}

function DoneSheet({ done, email, onClose }: { done: Done; email: string; onClose: () => void }) {
  const { link, warnings } = done
  return html`<${Dialog} title=${link === null ? 'The rule is given' : 'Invitation made'} kind="question" onClose=${onClose} isSticky=${link !== null}>
    ${
      link !== null &&
      html`<p>Send this link to <strong>${email}</strong>. It is shown only now, works once, and only with this e-mail address.</p>
      <div class="secret"><code>${link}</code><${Copy} text=${link} label="link" /></div>`
    }
    ${warnings.length > 0 && html`<div class="note warn"><p><strong>Worth knowing</strong></p><ul>${warnings.map((text) => html`<li key=${text}>${text}</li>`)}</ul></div>`}
    <footer><button class="primary" onClick=${onClose}>Done</button></footer>
  <//>`
}

/** What the form lacks, so that it is told without asking the API. */
function faultOf(form: Form): string | null {
  if (form.person === '') return 'Choose a member'
  if (form.person === 'invite' && !/^\S+@\S+\.\S+$/.test(form.email.trim())) {
    return 'Write the e-mail address of whom you invite'
  }
  if (form.roles.length === 0) return 'Choose at least one role'
  if (readTypedNetworks(form.networks).faults.length > 0) return 'Correct the address ranges first'
  return readExpiry(form.expiry, Date.now(), ruleDaysMax).fault
}

async function save(ref: string, form: Form, edited: EditedRule | undefined): Promise<Done> {
  const { v4, v6 } = readTypedNetworks(form.networks)
  const { branchesOnly, reason } = form
  const { expiresAt } = readExpiry(form.expiry, Date.now(), ruleDaysMax)
  const conditions = { expiresAt, v4, v6, branchesOnly, reason }
  if (form.person === 'invite') return await invite(ref, form, conditions)
  const isUntouched =
    edited?.grant.expires_at !== undefined &&
    form.expiry.custom === localInput(edited.grant.expires_at * 1000) &&
    form.expiry.preset === 'custom'
  // An input has minutes; an end that nobody changed keeps its seconds.
  const kept = isUntouched
    ? { ...conditions, expiresAt: edited.grant.expires_at ?? null }
    : conditions
  const given = form.roles.map((role) => grantOf(role, kept))
  const { existing, etag } = await mappingOf(ref, form.person)
  if (edited !== undefined) refuseIfChanged(existing, edited.grant)
  const { body } = await ask<Mapping>('PUT', projectApi(ref, '/database/jit'), {
    body: { user_id: form.person, roles: withGrants(existing, given) },
    ifMatch: etag,
  })
  const told = (body.warnings ?? []).filter((text) =>
    form.roles.some((role) => text.startsWith(`${role}:`)),
  )
  return { link: null, warnings: told }
}

/** What is saved over must be what was looked at; changes after this If-Match finds. */
function refuseIfChanged(existing: readonly Grant[], shown: Grant): void {
  const current = existing.find((grant) => grant.role === shown.role)
  if (JSON.stringify(current) === JSON.stringify(shown)) return
  throw new ApiFailure(412, 'the rule is no longer what it was', {})
}

async function mappingOf(ref: string, userId: string) {
  try {
    const path = projectApi(ref, `/database/jit/${encodeURIComponent(userId)}`)
    const { body, etag } = await ask<Mapping>('GET', path)
    return { existing: body.user_roles, etag }
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return { existing: [], etag: null }
    throw error
  }
}

async function invite(
  ref: string,
  form: Form,
  conditions: Parameters<typeof grantOf>[1],
): Promise<Done> {
  const isPreset = form.expiry.preset !== 'custom' && form.expiry.preset !== 'never'
  const roles = form.roles.map((role) => ({
    ...grantOf(role, isPreset ? { ...conditions, expiresAt: null } : conditions),
    ...(isPreset && { expires_after_seconds: Number(form.expiry.preset) }),
  }))
  const { body } = await ask<{ link?: string; warnings?: readonly string[] }>(
    'POST',
    projectApi(ref, '/database/jit/invite'),
    { body: { email: form.email.trim(), roles } },
  )
  if (body.link === undefined) tell(`The invitation is on its way to ${form.email.trim()}`)
  return { link: body.link ?? null, warnings: body.warnings ?? [] }
}

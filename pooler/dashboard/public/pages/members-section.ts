// Who belongs to the project, and as what.
import { useContext, useState } from 'preact/hooks'
import { ask, messageOf, projectApi } from '../ask.ts'
import { membershipName } from '../format.ts'
import { html } from '../html.ts'
import { Question } from '../parts/dialog.ts'
import { Field } from '../parts/fields.ts'
import { Badge, Card, Person, Time } from '../parts/small.ts'
import { Settled } from '../parts/states.ts'
import { tell, tellFailure } from '../parts/toasts.ts'
import { ProjectContext } from '../project-context.ts'
import { navigate } from '../router.ts'
import { SessionContext } from '../session.ts'
import type { MappingRow, Member, MembershipRole } from '../shapes.ts'
import { type Resource, useResource } from '../use-resource.ts'
import { RuleSheet } from './rule-sheet.ts'

const roles: readonly MembershipRole[] = [
  'owner',
  'administrator',
  'developer',
  'read_only',
  'guest',
]

const userIdPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

interface RuleList {
  readonly items: readonly MappingRow[]
}

export function MembersSection() {
  const view = useContext(ProjectContext)
  const ref = view?.ref ?? ''
  const members = useResource<readonly Member[]>(projectApi(ref, '/members'), ['members'])
  const rules = useResource<RuleList>(
    view?.isManager ? projectApi(ref, '/database/jit/list') : null,
    ['rules', 'members', 'record'],
  )
  const reload = () => {
    members.reload()
    rules.reload()
  }
  const [isAdding, setAdding] = useState(false)
  const [isInviting, setInviting] = useState(false)
  const action =
    view?.canManage &&
    html`<span class="row"><button onClick=${() => setAdding(true)}>Add by ID</button>
      <button class="primary" onClick=${() => setInviting(true)}>Invite</button></span>`
  return html`<div class="stack">
    <${Card} title="Members" action=${action}
      hint="Owners and administrators give rules. Whoever leaves loses rules and live sessions at once.">
      <${Settled} resource=${members} show=${(list: readonly Member[]) =>
        html`<${MemberTable} members=${list} onChanged=${members.reload} />`} />
    <//>
    ${view?.isManager && html`<${Invitations} rules=${rules} />`}
    ${isAdding && html`<${AddQuestion} onClose=${() => setAdding(false)} onAdded=${members.reload} />`}
    ${isInviting && html`<${RuleSheet} onClose=${() => setInviting(false)} onSaved=${reload} />`}
  </div>`
}

interface MemberTableProps {
  readonly members: readonly Member[]
  readonly onChanged: () => void
}

function MemberTable({ members, onChanged }: MemberTableProps) {
  const view = useContext(ProjectContext)
  const ownId = useContext(SessionContext)?.profile.gotrue_id
  const [removed, setRemoved] = useState<Member | null>(null)
  const ref = view?.ref ?? ''
  const pathOf = (member: Member) =>
    projectApi(ref, `/members/${encodeURIComponent(member.user_id)}`)
  const change = async (member: Member, role: string) => {
    try {
      await ask('PUT', pathOf(member), { body: { role } })
      tell(`${member.username} is ${membershipName(role)} now`)
    } catch (error) {
      tellFailure(error)
    }
    onChanged()
  }
  const remove = async (member: Member) => {
    await ask('DELETE', pathOf(member))
    tell(`${member.username} is no member any more`)
    if (member.user_id === ownId) navigate('/')
    else onChanged()
  }
  const nameOf = (member: Member) => member.primary_email ?? member.username
  return html`<table class="cards">
      <caption class="unseen">Members</caption>
      <thead><tr><th>Member</th><th>As</th><th><span class="unseen">Actions</span></th></tr></thead>
      <tbody>${members.map(
        (member) => html`<tr key=${member.user_id}>
          <td data-label="Member"><${Person} name=${member.username} email=${member.primary_email} />
            ${member.user_id === ownId && html` <${Badge}>You<//>`}</td>
          <td data-label="As">${
            view?.canManage && member.user_id !== ownId
              ? html`<select aria-label=${`Membership of ${nameOf(member)}`} value=${member.role}
                  onChange=${(event: Event) => change(member, (event.target as HTMLSelectElement).value)}>
                  ${roles.map((role) => html`<option key=${role} value=${role} selected=${role === member.role}>${membershipName(role)}</option>`)}
                </select>`
              : membershipName(member.role)
          }</td>
          <td class="actions">${
            view?.parentRef === null &&
            (view.canManage || member.user_id === ownId) &&
            html`<button onClick=${() => setRemoved(member)} aria-label=${`${member.user_id === ownId ? 'Leave' : 'Remove'} ${nameOf(member)}`}>${member.user_id === ownId ? 'Leave' : 'Remove'}</button>`
          }</td>
        </tr>`,
      )}</tbody>
    </table>
    ${
      removed !== null &&
      html`<${Question} isDangerous=${true} onConfirm=${() => remove(removed)} onClose=${() => setRemoved(null)}
        title=${removed.user_id === ownId ? 'Leave this project?' : 'Remove this member?'}
        confirm=${removed.user_id === ownId ? 'Leave' : 'Remove'}>
      <p>All rules of <strong>${nameOf(removed)}</strong> in this project and its branches go, and live sessions end at once.</p>
    <//>`
    }`
}

function AddQuestion({ onClose, onAdded }: { onClose: () => void; onAdded: () => void }) {
  const ref = useContext(ProjectContext)?.ref ?? ''
  const [userId, setUserId] = useState('')
  const [role, setRole] = useState<string>('developer')
  const add = async () => {
    const id = userId.trim()
    if (!userIdPattern.test(id)) {
      throw new Error('This is no user ID. One looks like 6f7c1d9e-2b64-4c7e-9a52-0d7f3f4c1a11.')
    }
    await ask('PUT', projectApi(ref, `/members/${id}`), { body: { role } })
    tell('The member is added')
    onAdded()
  }
  return html`<${Question} title="Add a member" confirm="Add" onConfirm=${add} onClose=${onClose}>
    <${Field} label="User ID" value=${userId} onValue=${setUserId} isRequired=${true}
      hint="Of somebody whom this Latchkey knows. Others are invited." more=${{ autofocus: true, spellcheck: false }} />
    <${Field} label="As" value=${role} onValue=${setRole} options=${roles.map((one) => [one, membershipName(one)])} />
  <//>`
}

function Invitations({ rules }: { rules: Resource<RuleList> }) {
  const open = (rules.body?.items ?? []).filter((one) => one.invite_id !== null)
  if (rules.error !== null) {
    return html`<${Card} title="Invitations"><p class="fault">${messageOf(rules.error)}</p><//>`
  }
  if (open.length === 0) return null
  return html`<${Card} title="Invitations" hint="Not accepted yet. They are withdrawn where their rules are, under Temporary access.">
    <ul class="rows">${open.map(
      (one) => html`<li key=${one.invite_id}><${Person} name=${one.primary_email} email=${null} />
        <span>${one.user_roles.map((grant) => html`<code class="tag" key=${grant.role}>${grant.role}</code> `)}</span>
        <span class="muted small">ends ${one.expires_at !== null && html`<${Time} at=${Date.parse(one.expires_at)} />`}</span></li>`,
    )}</ul>
  <//>`
}

// The rules of a project, one row each, and the invitations that will become some.
import { useContext, useState } from 'preact/hooks'
import { ask, projectApi } from '../ask.ts'
import { duration, plural } from '../format.ts'
import { networksOf, type RuleStatus, sessionsOn, statusOf, withoutRole } from '../grants.ts'
import { html } from '../html.ts'
import { Question } from '../parts/dialog.ts'
import { Badge, Person, Time, useNow } from '../parts/small.ts'
import { Empty } from '../parts/states.ts'
import { tell } from '../parts/toasts.ts'
import { ProjectContext } from '../project-context.ts'
import type { Grant, LiveSession, Mapping, MappingRow } from '../shapes.ts'
import { RuleSheet } from './rule-sheet.ts'

interface RulesTableProps {
  readonly rows: readonly MappingRow[]
  readonly sessions: readonly LiveSession[]
  readonly isEnabled: boolean
  readonly onAdd: () => void
  readonly onChanged: () => void
}

interface Chosen {
  readonly row: MappingRow
  readonly grant: Grant
  readonly to: 'edit' | 'remove'
}

export function RulesTable(props: RulesTableProps) {
  const { rows, sessions, isEnabled, onAdd, onChanged } = props
  const view = useContext(ProjectContext)
  const [chosen, setChosen] = useState<Chosen | null>(null)
  const close = () => setChosen(null)
  const rules = rows.flatMap((row) => row.user_roles.map((grant) => ({ row, grant })))
  if (rules.length === 0) {
    return html`<${Empty} title="No rules yet">
      <p>Give somebody a role of the database for an hour, a day or a week.</p>
      ${view?.canManage && html`<button onClick=${onAdd}>Add the first rule</button>`}
    <//>`
  }
  return html`<table class="cards">
      <caption class="unseen">Rules</caption>
      <thead><tr><th>Member</th><th>Role</th><th>Ends</th><th>From</th><th>Status</th><th><span class="unseen">Actions</span></th></tr></thead>
      <tbody>${rules.map(
        ({ row, grant }) => html`<${RuleRow} key=${`${row.user_id ?? row.invite_id} ${grant.role}`}
          row=${row} grant=${grant} isEnabled=${isEnabled}
          live=${row.user_id === null ? 0 : sessionsOn(sessions, row.user_id, grant.role).length}
          onChoose=${(to: Chosen['to']) => setChosen({ row, grant, to })} />`,
      )}</tbody>
    </table>
    ${
      chosen?.to === 'edit' &&
      chosen.row.user_id !== null &&
      html`<${RuleSheet}
      edited=${{
        userId: chosen.row.user_id,
        email: chosen.row.primary_email,
        grant: chosen.grant,
        live: sessionsOn(sessions, chosen.row.user_id, chosen.grant.role).length,
      }}
      onClose=${close} onSaved=${onChanged} />`
    }
    ${
      chosen?.to === 'remove' &&
      html`<${RemoveQuestion} ...${chosen} sessions=${sessions}
      onClose=${close} onRemoved=${onChanged} />`
    }`
}

interface RuleRowProps {
  readonly row: MappingRow
  readonly grant: Grant
  readonly isEnabled: boolean
  readonly live: number
  readonly onChoose: (to: Chosen['to']) => void
}

const statuses: Readonly<Record<RuleStatus, readonly [tone: string, text: string]>> = {
  active: ['good', 'Active'],
  soon: ['warn', 'Ends soon'],
  over: ['plain', 'Over'],
  off: ['plain', 'Switched off'],
}

function RuleRow({ row, grant, isEnabled, live, onChoose }: RuleRowProps) {
  const view = useContext(ProjectContext)
  const now = useNow()
  const isInvited = row.user_id === null
  const [tone, text] = isInvited ? ['warn', 'Invited'] : statuses[statusOf(grant, isEnabled, now)]
  const networks = networksOf(grant)
  const name = row.primary_email ?? row.user_id ?? ''
  return html`<tr>
    <td data-label="Member"><${Person} name=${name} email=${null} /></td>
    <td data-label="Role"><code>${grant.role}</code>
      ${grant.branches_only && html` <${Badge}>Branches only<//>`}
      ${grant.reason !== undefined && html`<div class="muted small clip" title=${grant.reason}>${grant.reason}</div>`}</td>
    <td data-label="Ends"><${Ends} grant=${grant} /></td>
    <td data-label="From">${networks.length === 0 ? html`<span class="muted">anywhere</span>` : networks.map((cidr) => html`<code class="block" key=${cidr}>${cidr}</code>`)}</td>
    <td data-label="Status"><${Badge} tone=${tone}>${text}<//>
      ${live > 0 && html` <${Badge} tone="live">${live} live<//>`}</td>
    <td class="actions">${
      view?.canManage &&
      html`${!isInvited && html`<button onClick=${() => onChoose('edit')} aria-label=${`Edit ${grant.role} of ${name}`}>Edit</button>`}
      <button onClick=${() => onChoose('remove')} aria-label=${`${isInvited ? 'Withdraw' : 'Remove'} ${grant.role} of ${name}`}>${isInvited ? 'Withdraw' : 'Remove'}</button>`
    }</td>
  </tr>`
}

function Ends({ grant }: { grant: Grant }) {
  if (grant.expires_after_seconds !== undefined) {
    return html`${duration(grant.expires_after_seconds * 1000)} after acceptance`
  }
  if (grant.expires_at === undefined) return html`<span class="muted">no end</span>`
  return html`<${Time} at=${grant.expires_at * 1000} />`
}

interface RemoveQuestionProps extends Chosen {
  readonly sessions: readonly LiveSession[]
  readonly onClose: () => void
  readonly onRemoved: () => void
}

function RemoveQuestion(props: RemoveQuestionProps) {
  const { row, grant, sessions, onClose, onRemoved } = props
  const ref = useContext(ProjectContext)?.ref ?? ''
  const name = row.primary_email ?? row.user_id
  const { user_id: userId } = row
  const remove = async () => {
    if (userId === null) {
      const path = `/database/jit/invite/${encodeURIComponent(row.invite_id ?? '')}`
      await ask('DELETE', projectApi(ref, path))
      tell('The invitation is withdrawn')
    } else {
      await removeRole(ref, userId, grant.role)
      tell(`${name} is ${grant.role} no longer`)
    }
    onRemoved()
  }
  if (userId === null) {
    return html`<${Question} title="Withdraw the invitation?" confirm="Withdraw" isDangerous=${true}
        onConfirm=${remove} onClose=${onClose}>
      <p>The link that <strong>${name}</strong> has will not work any more${row.user_roles.length > 1 ? ', for none of its roles' : ''}.</p>
    <//>`
  }
  const ended = sessionsOn(sessions, userId, grant.role)
  return html`<${Question} title="Remove this rule?" confirm="Remove rule" isDangerous=${true}
      onConfirm=${remove} onClose=${onClose}>
    <p><strong>${name}</strong> may no longer log in as <code>${grant.role}</code>.</p>
    ${
      ended.length === 0
        ? html`<p class="muted">They are not in as this role right now.</p>`
        : html`<p>This ends ${plural(ended.length, 'live session')} at once:</p>
          <ul class="bullets">${ended.map(
            (one) =>
              html`<li key=${one.id}><code>${one.address}</code> ${one.application_name ?? ''}, since <${Time} at=${Date.parse(one.started_at)} /></li>`,
          )}</ul>`
    }
  <//>`
}

/** The person's other rules stay as they are, also where somebody changed them a moment ago. */
async function removeRole(ref: string, userId: string, role: string): Promise<void> {
  const path = projectApi(ref, `/database/jit/${encodeURIComponent(userId)}`)
  const { body, etag } = await ask<Mapping>('GET', path)
  const roles = withoutRole(body.user_roles, role)
  if (roles.length === 0) await ask('DELETE', path, { ifMatch: etag })
  else {
    const put = { user_id: userId, roles }
    await ask('PUT', projectApi(ref, '/database/jit'), { body: put, ifMatch: etag })
  }
}

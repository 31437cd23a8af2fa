// The branches of a project: databases of their own under the parent's rules.
import { useContext, useState } from 'preact/hooks'
import { ask, projectApi } from '../ask.ts'
import { html } from '../html.ts'
import { Question } from '../parts/dialog.ts'
import { Field } from '../parts/fields.ts'
import { Badge, Card, Time } from '../parts/small.ts'
import { Empty, Settled } from '../parts/states.ts'
import { tell } from '../parts/toasts.ts'
import { projectPath } from '../places.ts'
import { ProjectContext } from '../project-context.ts'
import type { Branch } from '../shapes.ts'
import { useResource } from '../use-resource.ts'

export function BranchesSection() {
  const view = useContext(ProjectContext)
  const ref = view?.ref ?? ''
  const branches = useResource<readonly Branch[]>(projectApi(ref, '/branches'), [
    'project',
    'record',
  ])
  const [isMaking, setMaking] = useState(false)
  const [removed, setRemoved] = useState<Branch | null>(null)
  const remove = async (branch: Branch) => {
    await ask('DELETE', projectApi(ref, `/branches/${encodeURIComponent(branch.id)}`))
    tell(`Branch ${branch.name} is removed`)
    branches.reload()
  }
  const action =
    view?.canManage &&
    html`<button class="primary" onClick=${() => setMaking(true)}>New branch</button>`
  return html`<${Card} title="Branches" action=${action}
      hint="Rules, members and tokens of the project hold for its branches too.">
    <${Settled} resource=${branches} show=${(list: readonly Branch[]) =>
      list.length === 0
        ? html`<${Empty} title="No branches"><p>A branch is another database with the same rules.</p><//>`
        : html`<table class="cards">
            <caption class="unseen">Branches</caption>
            <thead><tr><th>Name</th><th>Project ref</th><th>Made</th><th><span class="unseen">Actions</span></th></tr></thead>
            <tbody>${list.map(
              (one) => html`<tr key=${one.id}>
                <td data-label="Name"><a href=${projectPath(one.project_ref)}>${one.name}</a>
                  ${one.project_ref === ref && html` <${Badge}>This one<//>`}</td>
                <td data-label="Project ref"><code>${one.project_ref}</code></td>
                <td data-label="Made"><${Time} at=${Date.parse(one.created_at)} /></td>
                <td class="actions">${view?.canManage && html`<button onClick=${() => setRemoved(one)} aria-label=${`Remove ${one.name}`}>Remove</button>`}</td>
              </tr>`,
            )}</tbody>
          </table>`} />
    ${isMaking && html`<${NewBranch} onClose=${() => setMaking(false)} onMade=${branches.reload} />`}
    ${
      removed !== null &&
      html`<${Question} title="Remove this branch?" confirm="Remove branch" isDangerous=${true}
        onConfirm=${() => remove(removed)} onClose=${() => setRemoved(null)}>
      <p>Everybody who is connected to <strong>${removed.name}</strong> (<code>${removed.project_ref}</code>) is ended, applications too. The database itself is not touched.</p>
    <//>`
    }
  <//>`
}

function NewBranch({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const ref = useContext(ProjectContext)?.ref ?? ''
  const [name, setName] = useState('')
  const [database, setDatabase] = useState('')
  const make = async () => {
    const body = {
      branch_name: name.trim(),
      ...(database.trim() !== '' && { db_database: database.trim() }),
    }
    await ask('POST', projectApi(ref, '/branches'), { body })
    tell(`Branch ${name.trim()} is made`)
    onMade()
  }
  return html`<${Question} title="New branch" confirm="Make branch" onConfirm=${make} onClose=${onClose}>
    <${Field} label="Name" value=${name} onValue=${setName} isRequired=${true} more=${{ autofocus: true, maxlength: 255 }} />
    <${Field} label="Database" value=${database} onValue=${setDatabase}
      hint="On the project’s own server; it must exist. Empty: the project’s database." more=${{ maxlength: 63 }} />
  <//>`
}

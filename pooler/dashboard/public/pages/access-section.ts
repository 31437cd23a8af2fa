// Temporary access of a project: on or off, who has which rule, who is in right now.
import { useContext, useState } from 'preact/hooks'
import { projectApi } from '../ask.ts'
import { html } from '../html.ts'
import { Card } from '../parts/small.ts'
import { Settled } from '../parts/states.ts'
import { projectPath } from '../places.ts'
import { ProjectContext } from '../project-context.ts'
import type { AccessState, LiveSession, MappingRow } from '../shapes.ts'
import { useResource } from '../use-resource.ts'
import { OwnRules } from './own-rules.ts'
import { RuleSheet } from './rule-sheet.ts'
import { RulesTable } from './rules-table.ts'
import { SessionsTable } from './sessions-table.ts'
import { StateSwitch } from './state-switch.ts'

export function AccessSection() {
  const view = useContext(ProjectContext)
  const ref = view?.ref ?? ''
  const path = (rest: string) => projectApi(ref, rest)
  const state = useResource<AccessState>(view?.canRead ? path('/jit-access') : null, ['project'])
  const rules = useResource<{ items: readonly MappingRow[] }>(
    view?.isManager ? path('/database/jit/list') : null,
    ['rules', 'members', 'record'],
  )
  const sessions = useResource<{ items: readonly LiveSession[] }>(path('/database/jit/sessions'), [
    'sessions',
    'rules',
  ])
  const [isAdding, setAdding] = useState(false)
  if (view === null) return null
  const live = sessions.body?.items ?? []
  const isEnabled = state.body?.state === 'enabled'
  const action =
    view.canManage &&
    html`<button class="primary" onClick=${() => setAdding(true)}>Add rule</button>`
  return html`<div class="stack">
    ${
      view.parentRef !== null &&
      html`<p class="note">
      This is a branch: state and rules are those of
      <a href=${projectPath(view.parentRef, 'access')}> ${view.parentRef}</a>, and are changed there.
    </p>`
    }
    ${view.canRead && html`<${StateSwitch} resource=${state} sessions=${live} />`}
    ${
      view.isManager
        ? html`<${Card} title="Rules" action=${action}
            hint="Who may log in as which role, from where and until when. Whoever is in is ended with the rule.">
            <${Settled} resource=${rules} show=${({ items }: { items: readonly MappingRow[] }) =>
              html`<${RulesTable} rows=${items} sessions=${live} isEnabled=${isEnabled}
                onAdd=${() => setAdding(true)} onChanged=${rules.reload} />`} />
          <//>`
        : html`<${OwnRules} ref_=${ref} />`
    }
    <${Card} title="Live sessions"
      hint=${view.isManager ? 'Everybody who is in with a token right now.' : 'Where you are in right now.'}>
      <${Settled} resource=${sessions} show=${({ items }: { items: readonly LiveSession[] }) =>
        html`<${SessionsTable} sessions=${items} onEnded=${sessions.reload} />`} />
    <//>
    ${isAdding && html`<${RuleSheet} onClose=${() => setAdding(false)} onSaved=${rules.reload} />`}
  </div>`
}

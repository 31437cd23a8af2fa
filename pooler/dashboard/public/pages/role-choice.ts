// The roles of the database that may be given, each with what one should know of it; those that may
// not, with the reason, out of the way.
import { useContext, useState } from 'preact/hooks'
import { messageOf, projectApi } from '../ask.ts'
import { plural } from '../format.ts'
import { html } from '../html.ts'
import { Check, Field } from '../parts/fields.ts'
import { Loading } from '../parts/states.ts'
import { ProjectContext } from '../project-context.ts'
import type { RoleVerdict } from '../shapes.ts'
import { useResource } from '../use-resource.ts'

interface RoleChoiceProps {
  readonly chosen: readonly string[]
  readonly onChoice: (roles: readonly string[]) => void
}

/** A filter is worth its place from here on. */
const filterFrom = 8

export function RoleChoice({ chosen, onChoice }: RoleChoiceProps) {
  const ref = useContext(ProjectContext)?.ref ?? ''
  const roles = useResource<readonly RoleVerdict[]>(projectApi(ref, '/database/jit/roles'))
  const [filter, setFilter] = useState('')
  const all = roles.body ?? []
  const good = all.filter((one) => one.assignable)
  const bad = all.filter((one) => !one.assignable)
  const shown = good.filter(
    ({ role }) => role.toLowerCase().includes(filter.toLowerCase()) || chosen.includes(role),
  )
  const toggle = (role: string, isChosen: boolean) =>
    onChoice(isChosen ? [...chosen, role] : chosen.filter((one) => one !== role))
  return html`<fieldset class="field">
    <legend>Roles</legend>
    ${roles.error !== null && html`<p class="fault" role="alert">${messageOf(roles.error)} <button type="button" class="link" onClick=${roles.reload}>Try again</button></p>`}
    ${roles.body === null && roles.error === null && html`<${Loading} lines=${2} />`}
    ${good.length > filterFrom && html`<${Field} label="Find a role" type="search" value=${filter} onValue=${setFilter} />`}
    ${roles.body !== null && good.length === 0 && html`<p class="hint">The database has no role that may be given.</p>`}
    <div class="choices">
      ${shown.map(
        ({ role, warnings }) => html`<${Check} key=${role} label=${html`<code>${role}</code>`}
          isChecked=${chosen.includes(role)} onCheck=${(is: boolean) => toggle(role, is)}
          hint=${warnings.length > 0 && html`<span class="warn-text">${warnings.join('; ')}</span>`} />`,
      )}
    </div>
    ${
      bad.length > 0 &&
      html`<details>
      <summary>${plural(bad.length, 'role')} that cannot be given</summary>
      <div class="choices">${bad.map(
        ({
          role,
          reason,
        }) => html`<${Check} key=${role} label=${html`<code>${role}</code>`} hint=${reason}
          isChecked=${false} isDisabled=${true} onCheck=${() => {}} />`,
      )}</div>
    </details>`
    }
  </fieldset>`
}

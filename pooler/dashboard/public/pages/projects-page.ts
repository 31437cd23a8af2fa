import { membershipName } from '../format.ts'
import { html } from '../html.ts'
import { Badge } from '../parts/small.ts'
import { Empty, Settled } from '../parts/states.ts'
import { projectPath } from '../places.ts'
import type { Project } from '../shapes.ts'
import { useResource } from '../use-resource.ts'
import { useTitle } from '../use-title.ts'

export function ProjectsPage() {
  useTitle('Projects')
  const projects = useResource<readonly Project[]>('/v1/projects')
  return html`<h1>Projects</h1>
    <${Settled} resource=${projects} show=${(list: readonly Project[]) =>
      list.length === 0
        ? html`<${Empty} title="No projects yet">
            <p>You are a member of no project. Whoever runs one can invite you.</p>
          <//>`
        : html`<ul class="tiles">
            ${list.map(
              (project) => html`<li key=${project.ref}>
                <a class="tile" href=${projectPath(project.ref)}>
                  <span class="tile-title">${project.name}</span>
                  ${project.name !== project.ref && html`<span class="muted mono small">${project.ref}</span>`}
                  <span class="row">
                    <${Badge}>${membershipName(project.role)}<//>
                    ${project.status !== 'ACTIVE_HEALTHY' && html`<${Badge} tone="bad">Banned<//>`}
                  </span>
                </a>
              </li>`,
            )}
          </ul>`} />`
}

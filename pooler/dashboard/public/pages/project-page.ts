// One project: its head, its sections, and the stream that keeps all of them up to date.
import { useContext, useEffect, useRef } from 'preact/hooks'
import { ApiFailure, projectApi } from '../ask.ts'
import { membershipName } from '../format.ts'
import { html, type Shown } from '../html.ts'
import { LiveContext, type LiveState, useLive } from '../live.ts'
import { Badge, Copy } from '../parts/small.ts'
import { Empty, Failure, Loading } from '../parts/states.ts'
import { projectPath, type Section, sections } from '../places.ts'
import { ProjectContext, type ProjectView, viewOf } from '../project-context.ts'
import type { Branch, Project } from '../shapes.ts'
import { useResource } from '../use-resource.ts'
import { useTitle } from '../use-title.ts'
import { AccessSection } from './access-section.ts'
import { BranchesSection } from './branches-section.ts'
import { MembersSection } from './members-section.ts'
import { OverviewSection } from './overview-section.ts'
import { RecordSection } from './record-section.ts'

const sectionNames: Readonly<Record<Section, string>> = {
  overview: 'Overview',
  access: 'Temporary access',
  record: 'Record',
  members: 'Members',
  branches: 'Branches',
}

interface ProjectPageProps {
  /** `ref` itself is Preact's. */
  readonly ref_: string
  readonly section: Section
}

export function ProjectPage({ ref_: ref, section }: ProjectPageProps) {
  const live = useLive(ref)
  return html`<${LiveContext.Provider} value=${live}>
    <${Found} ref_=${ref} section=${section} />
  <//>`
}

function Found({ ref_: ref, section }: ProjectPageProps) {
  const projects = useResource<readonly Project[]>('/v1/projects', ['members'])
  const own = projects.body?.find((one) => one.ref === ref)
  // The list has no branches; a branch knows its parent.
  const isElsewhere = projects.body !== null && own === undefined
  const branches = useResource<readonly Branch[]>(isElsewhere ? projectApi(ref, '/branches') : null)
  if (projects.error !== null && projects.body === null) {
    return html`<${Failure} error=${projects.error} onRetry=${projects.reload} />`
  }
  if (projects.body === null) return html`<${Loading} />`
  if (own !== undefined) {
    return html`<${Whole} view=${viewOf(ref, own.name, own.role, null)} section=${section} />`
  }
  const branch = branches.body?.find((one) => one.project_ref === ref)
  const parent = projects.body.find((one) => one.ref === branch?.parent_project_ref)
  if (branch !== undefined && parent !== undefined) {
    const view = viewOf(ref, branch.name, parent.role, parent.ref)
    return html`<${Whole} view=${view} section=${section} />`
  }
  if (branches.error instanceof ApiFailure && branches.error.status !== 404) {
    // Guests may not ask for branches, and may have rules for one all the same.
    const view = viewOf(ref, ref, 'guest', ref)
    return html`<${Whole} view=${view} section=${section} />`
  }
  if (branches.error === null && branches.body === null) return html`<${Loading} />`
  return html`<${Empty} title="There is no such project">
    <p>Or you have nothing to do with it. <a href="/">To your projects</a></p>
  <//>`
}

function Whole({ view, section }: { view: ProjectView; section: Section }) {
  useTitle(`${sectionNames[section]} · ${view.name}`)
  const { state } = useContext(LiveContext)
  const tabs = useRef<HTMLElement>(null)
  // On a phone they are wider than the page: the one that is open is always in sight.
  useEffect(() => {
    const here = tabs.current?.querySelector('[aria-current]')
    here?.scrollIntoView({ inline: 'center', block: 'nearest' })
  }, [section])
  const shown = view.canRead ? sections : (['overview', 'access', 'record'] as const)
  return html`<${ProjectContext.Provider} value=${view}>
    <div class="project-head">
      <p class="crumbs">
        <a href="/">Projects</a>
        ${view.parentRef !== null && view.parentRef !== view.ref && html`<a href=${projectPath(view.parentRef)}>${view.parentRef}</a>`}
      </p>
      <div class="row spread">
        <h1>${view.name}</h1>
        <${Liveness} state=${state} />
      </div>
      <div class="row">
        <span class="mono muted">${view.ref}</span>
        <${Copy} text=${view.ref} label="project ref" />
        <${Badge}>${membershipName(view.role)}<//>
        ${view.parentRef !== null && html`<${Badge}>Branch<//>`}
      </div>
    </div>
    <nav class="tabs" aria-label="Project" ref=${tabs}>
      ${shown.map(
        (one) => html`<a key=${one} href=${projectPath(view.ref, one)}
          aria-current=${one === section ? 'page' : undefined}>${sectionNames[one]}</a>`,
      )}
    </nav>
    ${contentOf(section)}
  <//>`
}

function contentOf(section: Section): Shown {
  switch (section) {
    case 'overview':
      return html`<${OverviewSection} />`
    case 'access':
      return html`<${AccessSection} />`
    case 'record':
      return html`<${RecordSection} />`
    case 'members':
      return html`<${MembersSection} />`
    case 'branches':
      return html`<${BranchesSection} />`
  }
}

const livenessTexts: Readonly<Record<LiveState, string>> = {
  none: '',
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Not live, trying again',
}

const Liveness = ({ state }: { state: LiveState }) =>
  html`<span class="liveness ${state}" role="status">${livenessTexts[state]}</span>`

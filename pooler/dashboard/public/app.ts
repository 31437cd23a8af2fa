// The frame around every page: who is signed in, where one is, and what was just said.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { ApiFailure, ask, onSignedOut } from './ask.ts'
import { html, type Shown } from './html.ts'
import { InvitePage } from './pages/invite-page.ts'
import { MyAccessPage } from './pages/my-access-page.ts'
import { ProjectPage } from './pages/project-page.ts'
import { ProjectsPage } from './pages/projects-page.ts'
import { SignInPage } from './pages/sign-in-page.ts'
import { TokensPage } from './pages/tokens-page.ts'
import { Empty, Failure, Loading } from './parts/states.ts'
import { Toasts, tellFailure } from './parts/toasts.ts'
import type { Place } from './places.ts'
import { followLink, usePlace } from './router.ts'
import { SessionContext } from './session.ts'
import type { Profile } from './shapes.ts'

type Who =
  | { readonly is: 'unknown' | 'nobody' }
  | { readonly is: 'failed'; readonly error: unknown }
  | { readonly is: 'somebody'; readonly profile: Profile }

export function App() {
  const place = usePlace()
  const [who, setWho] = useState<Who>({ is: 'unknown' })
  const load = useCallback(async () => {
    try {
      setWho({ is: 'somebody', profile: (await ask<Profile>('GET', '/v1/profile')).body })
    } catch (error) {
      const isNobody = error instanceof ApiFailure && error.status === 401
      setWho(isNobody ? { is: 'nobody' } : { is: 'failed', error })
    }
  }, [])
  useEffect(() => void load(), [load])
  useEffect(() => onSignedOut(() => setWho({ is: 'nobody' })), [])
  const signOut = async () => {
    try {
      await ask('POST', '/auth/sign-out')
      setWho({ is: 'nobody' })
    } catch (error) {
      tellFailure(error)
    }
  }
  if (place.page === 'invite') {
    return html`<div onClick=${followLink}><${InvitePage} ref_=${place.ref}
      profile=${who.is === 'somebody' ? who.profile : null} onSignedIn=${load} /><${Toasts} /></div>`
  }
  const content = () => {
    switch (who.is) {
      case 'unknown':
        return html`<main class="page"><${Loading} /></main>`
      case 'failed':
        return html`<main class="page"><${Failure} error=${who.error} onRetry=${load} /></main>`
      case 'nobody':
        return html`<${SignInPage} onSignedIn=${load} />`
      case 'somebody':
        return html`<${SessionContext.Provider} value=${{ profile: who.profile, signOut }}>
          <${Frame} place=${place} profile=${who.profile} onSignOut=${signOut} />
        <//>`
    }
  }
  return html`<div onClick=${followLink}>${content()}<${Toasts} /></div>`
}

function pageOf(place: Place): Shown {
  switch (place.page) {
    case 'projects':
      return html`<${ProjectsPage} />`
    case 'access':
      return html`<${MyAccessPage} />`
    case 'tokens':
      return html`<${TokensPage} />`
    case 'project':
      return html`<${ProjectPage} key=${place.ref} ref_=${place.ref} section=${place.section} />`
    default:
      return html`<${Empty} title="There is nothing here"><p><a href="/">To the projects</a></p><//>`
  }
}

const links = [
  ['/', 'Projects', 'projects'],
  ['/access', 'My access', 'access'],
  ['/tokens', 'Tokens', 'tokens'],
] as const

interface FrameProps {
  readonly place: Place
  readonly profile: Profile
  readonly onSignOut: () => void
}

function Frame({ place, profile, onSignOut }: FrameProps) {
  const main = useRef<HTMLElement>(null)
  const isFirst = useRef(true)
  const placeText = JSON.stringify(place)
  // After a move by a link, readers and keyboards go on at the new page.
  useEffect(() => {
    if (isFirst.current) isFirst.current = false
    else main.current?.focus()
  }, [placeText])
  const isHere = (page: string) =>
    place.page === page || (page === 'projects' && place.page === 'project')
  return html`<a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <div class="top-inner">
        <a class="brand" href="/"><span class="brand-mark" aria-hidden="true"></span>Latchkey</a>
        <nav aria-label="Main">
          ${links.map(
            ([path, label, page]) =>
              html`<a key=${path} href=${path} aria-current=${isHere(page) ? 'page' : undefined}>${label}</a>`,
          )}
        </nav>
        <div class="who">
          <span class="who-name" title=${profile.primary_email ?? ''}>${profile.username || profile.primary_email}</span>
          <button class="quiet" onClick=${onSignOut}>Sign out</button>
        </div>
      </div>
    </header>
    <main id="main" class="page" tabindex="-1" ref=${main}>${pageOf(place)}</main>`
}

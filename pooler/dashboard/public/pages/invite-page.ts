// Where the link of an invitation leads. Its secret stands behind the `#`, which no server sees, and
// is taken out of the address at once.
import { useState } from 'preact/hooks'
import { ask, messageOf, projectApi } from '../ask.ts'
import { html } from '../html.ts'
import { Copy } from '../parts/small.ts'
import { tell } from '../parts/toasts.ts'
import { projectPath } from '../places.ts'
import { navigate } from '../router.ts'
import type { Profile } from '../shapes.ts'
import { useTitle } from '../use-title.ts'

interface InvitePageProps {
  /** Of the project. */
  readonly ref_: string
  readonly profile: Profile | null
  readonly onSignedIn: () => Promise<void>
}

interface Accepted {
  readonly token?: string
}

function takeSecret(): { email: string; token: string } {
  const parts = new URLSearchParams(location.hash.slice(1))
  const secret = { email: parts.get('email') ?? '', token: parts.get('token') ?? '' }
  if (location.hash !== '') history.replaceState(null, '', location.pathname)
  return secret
}

export function InvitePage({ ref_: ref, profile, onSignedIn }: InvitePageProps) {
  useTitle('Invitation')
  const [secret] = useState(takeSecret)
  const [fault, setFault] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const [accepted, setAccepted] = useState<Accepted | null>(null)
  const accept = async () => {
    setBusy(true)
    try {
      const path = projectApi(ref, '/database/jit/invite/accept')
      const { body } = await ask<Accepted>('POST', path, { body: secret })
      if (body.token === undefined) {
        tell('The invitation is accepted')
        navigate(projectPath(ref, 'access'))
      } else setAccepted(body)
    } catch (error) {
      setFault(messageOf(error))
      setBusy(false)
    }
  }
  const goOn = async (token: string) => {
    try {
      await ask('POST', '/auth/sign-in', { body: { token } })
      await onSignedIn()
      navigate('/access')
    } catch (error) {
      setFault(messageOf(error))
    }
  }
  const isWhole = secret.email !== '' && secret.token !== ''
  const content = () => {
    if (accepted?.token !== undefined) {
      const { token } = accepted
      return html`<h1>Welcome</h1>
        <p>This is your first token, your password for the database and for this page. It is <strong>shown only this once</strong>.</p>
        <div class="secret"><code>${token}</code><${Copy} text=${token} label="token" /></div>
        <button class="primary wide" onClick=${() => goOn(token)}>I have it, sign me in</button>`
    }
    if (!isWhole) {
      return html`<h1>Invitation</h1><p>This link is not whole. Open it as it was sent to you, up to its very end.</p>
        <p><a href="/">To the dashboard</a></p>`
    }
    return html`<h1>You are invited</h1>
      <p>To the project <code>${ref}</code>, as <strong>${secret.email}</strong>.</p>
      ${
        profile === null
          ? html`<p class="muted">If you have a token here already, <a href="/">sign in</a> first and open the link again.</p>`
          : html`<p class="muted">You are signed in as ${profile.primary_email ?? profile.username}.</p>`
      }
      <button class="primary wide" disabled=${isBusy} onClick=${accept}>${isBusy ? 'Accepting…' : 'Accept'}</button>`
  }
  return html`<main class="sign-in"><div class="card">
    <p class="brand"><span class="brand-mark" aria-hidden="true"></span>Latchkey</p>
    ${content()}
    ${fault !== null && html`<p class="fault" role="alert">${fault}</p>`}
  </div></main>`
}

import { useState } from 'preact/hooks'
import { ask } from '../ask.ts'
import { html } from '../html.ts'
import { Field } from '../parts/fields.ts'
import { signInFaultIn } from '../sign-in-faults.ts'
import { refuse, useTask } from '../use-task.ts'
import { useTitle } from '../use-title.ts'

/** What went wrong is told once: the address is the page's own again. */
function takeFault() {
  const fault = signInFaultIn(location.search)
  if (fault !== null) history.replaceState(null, '', location.pathname)
  return fault
}

/** The identity provider's name, which the server put into the page; null: there is none. */
const providerName =
  document.querySelector<HTMLMetaElement>('meta[name=identity-provider]')?.content || null

export function SignInPage({ onSignedIn }: { onSignedIn: () => Promise<void> }) {
  useTitle('Sign in')
  const [returned] = useState(takeFault)
  return html`<main class="sign-in" id="main">
    <div class="card">
      <p class="brand"><span class="brand-mark" aria-hidden="true"></span>Latchkey</p>
      <h1>Sign in</h1>
      ${
        returned !== null &&
        html`<div class="note bad" role="alert"><p><strong>${returned.text}</strong></p>
          <p>${returned.hint} <code>${returned.code}</code></p></div>`
      }
      ${providerName !== null && html`<${ProviderButton} name=${providerName} /><p class="or"><span>or</span></p>`}
      <${TokenForm} isFirst=${providerName === null} onSignedIn=${onSignedIn} />
    </div>
  </main>`
}

function ProviderButton({ name }: { name: string }) {
  const { isBusy, fault, start } = useTask(async () => {
    const body = { return_to: location.pathname }
    const answer = await ask<{ location: string }>('POST', '/auth/provider', { body })
    location.assign(answer.body.location)
  })
  return html`<button class="primary wide" disabled=${isBusy} onClick=${start}>
      ${isBusy ? 'On the way…' : `Sign in with ${name}`}
    </button>
    ${fault !== null && html`<p class="fault" role="alert">${fault}</p>`}`
}

interface TokenFormProps {
  /** Whether this is the usual way in. */
  readonly isFirst: boolean
  readonly onSignedIn: () => Promise<void>
}

function TokenForm({ isFirst, onSignedIn }: TokenFormProps) {
  const [token, setToken] = useState('')
  const { isBusy, fault, start, clear } = useTask(async () => {
    refuse(token.trim() === '' ? 'Paste your token' : null)
    await ask('POST', '/auth/sign-in', { body: { token: token.trim() } })
    setToken('')
    await onSignedIn()
  })
  return html`<form onSubmit=${start} novalidate>
    <p class="muted">With a personal access token. It is exchanged for a session that ends by itself; the browser does not keep it.</p>
    <${Field} label="Token" type="password" value=${token} fault=${fault}
      onValue=${(value: string) => {
        setToken(value)
        clear()
      }}
      more=${{ autocomplete: 'off', autofocus: isFirst, placeholder: 'sbp_…', spellcheck: false }} />
    <button class=${isFirst ? 'primary wide' : 'wide'} disabled=${isBusy}>${isBusy ? 'Signing in…' : isFirst ? 'Sign in' : 'Sign in with the token'}</button>
    <p class="hint">No token? Ask whoever runs this Latchkey, or use the link of your invitation.</p>
  </form>`
}

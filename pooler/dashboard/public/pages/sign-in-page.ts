import { useState } from 'preact/hooks'
import { ask, messageOf } from '../ask.ts'
import { html } from '../html.ts'
import { Field } from '../parts/fields.ts'
import { useTitle } from '../use-title.ts'

export function SignInPage({ onSignedIn }: { onSignedIn: () => Promise<void> }) {
  useTitle('Sign in')
  const [token, setToken] = useState('')
  const [fault, setFault] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: Event) => {
    event.preventDefault()
    if (token.trim() === '') {
      setFault('Paste your token')
      return
    }
    setBusy(true)
    try {
      await ask('POST', '/auth/sign-in', { body: { token: token.trim() } })
      setToken('')
      await onSignedIn()
    } catch (error) {
      setFault(messageOf(error))
      setBusy(false)
    }
  }
  return html`<main class="sign-in" id="main">
    <form class="card" onSubmit=${submit} novalidate>
      <p class="brand"><span class="brand-mark" aria-hidden="true"></span>Latchkey</p>
      <h1>Sign in</h1>
      <p class="muted">With a personal access token. It is exchanged for a session that ends by itself; the browser does not keep it.</p>
      <${Field} label="Token" type="password" value=${token} fault=${fault}
        onValue=${(value: string) => {
          setToken(value)
          setFault(null)
        }}
        more=${{ autocomplete: 'off', autofocus: true, placeholder: 'sbp_…', spellcheck: false }} />
      <button class="primary wide" disabled=${isBusy}>${isBusy ? 'Signing in…' : 'Sign in'}</button>
      <p class="hint">No token? Ask whoever runs this Latchkey, or use the link of your invitation.</p>
    </form>
  </main>`
}

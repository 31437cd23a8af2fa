// Short words about what just happened, read out by screen readers. Bad news stays until it is read.
import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../ask.ts'
import { html } from '../html.ts'

interface Toast {
  readonly id: number
  readonly text: string
  readonly tone: 'good' | 'bad'
}

const shownMs = 5000
const toastsMax = 4

let toasts: readonly Toast[] = []
let lastId = 0
const listeners = new Set<() => void>()

function set(next: readonly Toast[]): void {
  toasts = next
  for (const listener of listeners) listener()
}

function dismiss(id: number): void {
  set(toasts.filter((toast) => toast.id !== id))
}

export function tell(text: string): void {
  lastId += 1
  const id = lastId
  set([...toasts, { id, text, tone: 'good' as const }].slice(-toastsMax))
  setTimeout(() => dismiss(id), shownMs)
}

export function tellFailure(error: unknown): void {
  lastId += 1
  set([...toasts, { id: lastId, text: messageOf(error), tone: 'bad' as const }].slice(-toastsMax))
}

export function Toasts() {
  const [shown, setShown] = useState(toasts)
  useEffect(() => {
    const onChange = () => setShown(toasts)
    listeners.add(onChange)
    return () => listeners.delete(onChange)
  }, [])
  const listOf = (tone: Toast['tone']) =>
    shown
      .filter((toast) => toast.tone === tone)
      .map(
        (toast) => html`<div class="toast ${tone}" key=${toast.id}>
          <span>${toast.text}</span>
          <button class="quiet" onClick=${() => dismiss(toast.id)} aria-label="Dismiss">×</button>
        </div>`,
      )
  return html`<div class="toasts">
    <div role="status" aria-live="polite">${listOf('good')}</div>
    <div role="alert" aria-live="assertive">${listOf('bad')}</div>
  </div>`
}

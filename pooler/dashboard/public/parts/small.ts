// Small things that stand on every page.
import { useEffect, useState } from 'preact/hooks'
import { absoluteTime, relativeTime } from '../format.ts'
import { html, type Shown } from '../html.ts'
import { tell, tellFailure } from './toasts.ts'

const minuteMs = 60_000

/** The present, renewed each half minute, or each second where something is about to end. */
export function useNow(isFine = false): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), isFine ? 1000 : minuteMs / 2)
    return () => clearInterval(timer)
  }, [isFine])
  return now
}

/** Relative in the text, absolute on hover and for who asks the element. */
export function Time({ at }: { at: number }) {
  const coarse = useNow()
  const isNear = Math.abs(at - coarse) < 2 * minuteMs
  const now = useNow(isNear)
  return html`<time datetime=${new Date(at).toISOString()} title=${absoluteTime(at)}>
    ${relativeTime(at, now)}
  </time>`
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [isDone, setDone] = useState(false)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setDone(true)
      tell(`Copied: ${label}`)
      setTimeout(() => setDone(false), 1500)
    } catch {
      tellFailure(new Error('The browser did not let us copy; select the text instead'))
    }
  }
  return html`<button type="button" class="copy" onClick=${copy} aria-label=${`${isDone ? 'Copied' : 'Copy'} ${label}`}>
    ${isDone ? 'Copied' : 'Copy'}
  </button>`
}

export const Badge = ({ tone = 'plain', children }: { tone?: string; children?: Shown }) =>
  html`<span class="badge ${tone}">${children}</span>`

export const Avatar = ({ name }: { name: string }) =>
  html`<span class="avatar" aria-hidden="true">${(name.trim()[0] ?? '?').toUpperCase()}</span>`

/** Who somebody is: the name, and the address below it. */
export function Person({ name, email }: { name: string | null; email: string | null }) {
  const first = name || email || 'Somebody'
  return html`<span class="person"><${Avatar} name=${first} />
    <span><span class="person-name">${first}</span>
    ${email !== null && email !== first && html`<span class="muted small">${email}</span>`}</span>
  </span>`
}

export interface CardProps {
  readonly title: string
  readonly hint?: Shown
  readonly action?: Shown
  readonly children?: Shown
}

export const Card = ({ title, hint, action, children }: CardProps) =>
  html`<section class="card">
    <header class="card-head">
      <div><h2>${title}</h2>${hint && html`<p class="muted">${hint}</p>`}</div>
      ${action && html`<div class="card-action">${action}</div>`}
    </header>
    ${children}
  </section>`

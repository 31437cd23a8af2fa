// Sheets and questions on the browser's own dialog: it keeps the focus inside, makes the rest inert,
// closes on Escape and gives the focus back.
import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { html, type Shown } from '../html.ts'
import { useTask } from '../use-task.ts'

export interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children?: Shown
  readonly kind?: 'sheet' | 'question'
  /** Escape and a click beside it do nothing: what is in it is shown only once. */
  readonly isSticky?: boolean
}

export function Dialog(props: DialogProps) {
  const { title, onClose, children, kind = 'sheet', isSticky = false } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  // Before the dialog leaves the page, not after: a focus that goes with it is on nothing for a while.
  useLayoutEffect(() => {
    const element = dialog.current
    const before = document.activeElement
    element?.showModal()
    return () => {
      element?.close()
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  const onCancel = (event: Event) => {
    event.preventDefault()
    if (!isSticky) onClose()
  }
  const onPointerDown = (event: MouseEvent) => {
    if (event.target === dialog.current && !isSticky) onClose()
  }
  return html`<dialog ref=${dialog} class=${kind} aria-labelledby=${titleId}
      onCancel=${onCancel} onMouseDown=${onPointerDown}>
    <div class="dialog-body">
      <header>
        <h2 id=${titleId}>${title}</h2>
        ${!isSticky && html`<button class="quiet" type="button" onClick=${onClose} aria-label="Close">×</button>`}
      </header>
      ${children}
    </div>
  </dialog>`
}

export interface QuestionProps {
  readonly title: string
  readonly children?: Shown
  readonly confirm: string
  readonly isDangerous?: boolean
  /** Closes the question when it is done; what it throws is told in the question. */
  readonly onConfirm: () => Promise<void>
  readonly onClose: () => void
}

export function Question(props: QuestionProps) {
  const { title, children, confirm, isDangerous = false, onConfirm, onClose } = props
  const { isBusy, fault, start } = useTask(async () => {
    await onConfirm()
    onClose()
  })
  return html`<${Dialog} title=${title} onClose=${onClose} kind="question">
    <form onSubmit=${start}>
      ${children}
      ${fault !== null && html`<p class="fault" role="alert">${fault}</p>`}
      <footer>
        <button type="button" onClick=${onClose}>Cancel</button>
        <button class=${isDangerous ? 'danger' : 'primary'} disabled=${isBusy} autofocus>${confirm}</button>
      </footer>
    </form>
  <//>`
}

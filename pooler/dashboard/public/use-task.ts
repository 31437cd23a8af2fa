// Something that a form does: while it runs the form is busy, and what it throws is told in the form.
import { useState } from 'preact/hooks'
import { messageOf } from './ask.ts'

export interface Task {
  readonly isBusy: boolean
  readonly fault: string | null
  /** Busy from here on, and still when it is done: whoever did it closes the form, or goes elsewhere. */
  readonly start: (event?: Event) => Promise<void>
  /** What was told is no longer true. */
  readonly clear: () => void
}

export function useTask(
  run: () => Promise<void>,
  textOf: (error: unknown) => string = messageOf,
): Task {
  const [fault, setFault] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const start = async (event?: Event) => {
    event?.preventDefault()
    setFault(null)
    setBusy(true)
    try {
      await run()
    } catch (error) {
      setFault(textOf(error))
      setBusy(false)
    }
  }
  return { isBusy, fault, start, clear: () => setFault(null) }
}

/** For a task whose form lacks something: it is told as any other fault. */
export function refuse(fault: string | null): void {
  if (fault !== null) throw new Error(fault)
}

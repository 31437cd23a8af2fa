// One stream of server-sent events for the project that is looked at.
import { createContext } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { projectApi } from './ask.ts'
import { type Figures, withSample } from './figures.ts'

export type LiveState = 'none' | 'connecting' | 'live' | 'lost'

export interface Live {
  readonly state: LiveState
  readonly samples: readonly Figures[]
  /**
   * The listener gets what changed: rules, sessions, record, members, project, everything. A stream that
   * opens tells everything first: what changed before it was told to nobody.
   */
  readonly onChanged: (listener: (what: string) => void) => () => void
}

export const LiveContext = createContext<Live>({
  state: 'none',
  samples: [],
  onChanged: () => () => {},
})

/** A browser gives up on a stream that was refused; it is asked again after so long. */
const againMs = 5000

export function useLive(ref: string | null): Live {
  const listeners = useRef(new Set<(what: string) => void>())
  const [state, setState] = useState<LiveState>('none')
  const [samples, setSamples] = useState<readonly Figures[]>([])
  useEffect(() => {
    setSamples([])
    if (ref === null) return
    const tellAll = (what: string) => {
      for (const listener of listeners.current) listener(what)
    }
    let source: EventSource | null = null
    let timer: ReturnType<typeof setTimeout> | undefined
    const open = () => {
      setState('connecting')
      source = new EventSource(projectApi(ref, '/live'))
      source.addEventListener('open', () => setState('live'))
      source.addEventListener('error', () => {
        setState('lost')
        if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, againMs)
      })
      source.addEventListener('changed', ({ data }) => tellAll(JSON.parse(data).what))
      source.addEventListener('figures', ({ data }) => {
        const next: Figures = JSON.parse(data)
        setSamples((before) => withSample(before, next))
      })
    }
    open()
    return () => {
      clearTimeout(timer)
      source?.close()
      setState('none')
    }
  }, [ref])
  const onChanged = useMemo(
    () => (listener: (what: string) => void) => {
      listeners.current.add(listener)
      return () => listeners.current.delete(listener)
    },
    [],
  )
  return useMemo(() => ({ state, samples, onChanged }), [state, samples, onChanged])
}

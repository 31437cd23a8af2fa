// Something that the API has, kept as it is there: asked for once, and again when it changed.
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks'
import { ask } from './ask.ts'
import { LiveContext } from './live.ts'

export interface Resource<Body> {
  /** null: not there yet. */
  readonly body: Body | null
  readonly error: unknown
  readonly reload: () => void
}

/**
 * Changes come in bursts: so long one waits for more before asking. The record of a busy project never
 * rests, and says little about anything but itself.
 */
const settleMsOf = (what: string): number => (what === 'record' ? 5000 : 250)

/** `topics`: words of the live stream after which it is asked for again. A null path asks nothing. */
export function useResource<Body>(
  path: string | null,
  topics: readonly string[] = [],
): Resource<Body> {
  const [state, setState] = useState<{ path: string | null; body: Body | null; error: unknown }>({
    path,
    body: null,
    error: null,
  })
  const newest = useRef(0)
  const load = useCallback(
    async (isBackground: boolean) => {
      if (path === null) return
      newest.current += 1
      const mine = newest.current
      try {
        const { body } = await ask<Body>('GET', path, { isBackground })
        if (mine === newest.current) setState({ path, body, error: null })
      } catch (error) {
        if (mine !== newest.current) return
        // What was there stays where only the way to it is gone.
        setState((before) => ({ path, body: before.path === path ? before.body : null, error }))
      }
    },
    [path],
  )
  useEffect(() => {
    void load(false)
    return () => {
      newest.current += 1
    }
  }, [load])
  const { onChanged } = useContext(LiveContext)
  const topicText = topics.join(' ')
  useEffect(() => {
    if (topicText === '') return
    let timer: ReturnType<typeof setTimeout> | undefined
    const stop = onChanged((what) => {
      if (what !== 'everything' && !topicText.split(' ').includes(what)) return
      if (what === 'record' && timer !== undefined) return
      clearTimeout(timer)
      timer = setTimeout(() => {
        timer = undefined
        void load(true)
      }, settleMsOf(what))
    })
    return () => {
      clearTimeout(timer)
      stop()
    }
  }, [load, onChanged, topicText])
  const isCurrent = state.path === path
  const reload = useCallback(() => void load(false), [load])
  return { body: isCurrent ? state.body : null, error: isCurrent ? state.error : null, reload }
}

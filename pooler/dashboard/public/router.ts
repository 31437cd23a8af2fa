// The way from one page to another without loading anew.
import { useEffect, useState } from 'preact/hooks'
import { type Place, placeOf } from './places.ts'

export function navigate(path: string): void {
  history.pushState(null, '', path)
  dispatchEvent(new PopStateEvent('popstate'))
}

export function usePlace(): Place {
  const [path, setPath] = useState(location.pathname)
  useEffect(() => {
    const onMove = () => setPath(location.pathname)
    addEventListener('popstate', onMove)
    return () => removeEventListener('popstate', onMove)
  }, [])
  return placeOf(path)
}

/** For a click anywhere: links to our own pages are followed without loading anew. */
export function followLink(event: MouseEvent): void {
  const isPlain =
    event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
  const link = (event.target as Element | null)?.closest('a')
  if (!isPlain || link == null || link.target !== '' || link.hasAttribute('download')) return
  if (link.origin !== location.origin || placeOf(link.pathname).page === 'nowhere') return
  if (link.hash !== '' && link.pathname === location.pathname) return
  event.preventDefault()
  navigate(link.pathname)
}

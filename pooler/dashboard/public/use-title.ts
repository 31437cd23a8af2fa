import { useEffect } from 'preact/hooks'

/** What the tab, and a screen reader after a move, calls the page. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Latchkey`
  }, [title])
}

// Which page an address means. Pure.

export const sections = ['overview', 'access', 'record', 'members', 'branches'] as const
export type Section = (typeof sections)[number]

export type Place =
  | { readonly page: 'projects' | 'access' | 'tokens' | 'nowhere' }
  | { readonly page: 'invite'; readonly ref: string }
  | { readonly page: 'project'; readonly ref: string; readonly section: Section }

export function placeOf(path: string): Place {
  const [first = '', second, third, ...more] = path.replace(/^\/|\/$/g, '').split('/')
  if (more.length > 0) return { page: 'nowhere' }
  if (first === '' || (first === 'projects' && second === undefined)) return { page: 'projects' }
  if (second === undefined) {
    return first === 'access' || first === 'tokens' ? { page: first } : { page: 'nowhere' }
  }
  const ref = decodePart(second)
  if (ref === null) return { page: 'nowhere' }
  if (first === 'invite' && third === undefined) return { page: 'invite', ref }
  const section = sections.find((one) => one === (third ?? 'overview'))
  if (first !== 'projects' || section === undefined) return { page: 'nowhere' }
  return { page: 'project', ref, section }
}

export function projectPath(ref: string, section: Section = 'overview'): string {
  const path = `/projects/${encodeURIComponent(ref)}`
  return section === 'overview' ? path : `${path}/${section}`
}

function decodePart(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}

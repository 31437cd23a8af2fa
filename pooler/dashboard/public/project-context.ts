// The project that is looked at, and what the person may do in it as far as the page needs to know;
// the API decides.
import { createContext } from 'preact'
import type { MembershipRole } from './shapes.ts'

export interface ProjectView {
  readonly ref: string
  readonly name: string
  readonly role: MembershipRole
  /** null: it is no branch. */
  readonly parentRef: string | null
  /** May change rules, members and state; on a branch nobody does. */
  readonly canManage: boolean
  readonly isManager: boolean
  /** Sees more than their own. */
  readonly canRead: boolean
}

export const ProjectContext = createContext<ProjectView | null>(null)

export function viewOf(
  ref: string,
  name: string,
  role: MembershipRole,
  parentRef: string | null,
): ProjectView {
  const isManager = role === 'owner' || role === 'administrator'
  const canManage = isManager && parentRef === null
  return { ref, name, role, parentRef, isManager, canManage, canRead: role !== 'guest' }
}

import type { MembershipRole } from '../store/schema.ts'

export const permissions = [
  'project_admin_read',
  'project_admin_write',
  'database_jit_read',
  'database_jit_write',
] as const

export type Permission = (typeof permissions)[number]

const administrators: readonly MembershipRole[] = ['owner', 'administrator']
const everybody: readonly MembershipRole[] = [...administrators, 'developer', 'read_only', 'guest']

const holders: Readonly<Record<Permission, readonly MembershipRole[]>> = {
  project_admin_read: everybody.filter((role) => role !== 'guest'),
  project_admin_write: administrators,
  database_jit_read: everybody,
  database_jit_write: administrators,
}

/** What a member may do in a project by what they are there. A token's scope narrows it elsewhere. */
export function isPermitted(role: MembershipRole, permission: Permission): boolean {
  return holders[permission].includes(role)
}

// What an importer makes of somebody else's configuration, before anything is written.
import type { TenantFields } from '../api/schemas/tenants.ts'

export interface ImportedTenant {
  readonly ref: string
  readonly fields: TenantFields
}

export interface Import {
  readonly tenants: readonly ImportedTenant[]
  /** What could not be taken over, or reads differently here; for the person who imports. */
  readonly notes: readonly string[]
  /** Settings of the process that correspond, `NAME=value`. */
  readonly settings: readonly string[]
}

/** The file cannot be used; one line that says where and why. */
export class ImportError extends Error {
  override readonly name = 'ImportError'
}

/** Why no project can have this ref; null: it can. */
export function refFault(ref: string): string | null {
  if (/^[^\s.\p{C}]{1,63}$/u.test(ref)) return null
  return ref === '' ? 'it is empty' : 'it has a dot or a space, or over 63 characters'
}

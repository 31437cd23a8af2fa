// Tenants as Supavisor's API gives them (`{"data": …}`, one or many), or one JSON object a line.
import { z } from 'zod'
import { parseJson } from '../../shared/json.ts'
import { tenantFields } from '../api/schemas/tenants.ts'
import { type Import, ImportError, type ImportedTenant, refFault } from './imported-tenant.ts'

const named = z.looseObject({ external_id: z.string() })

/** Throws ImportError for what is no list of tenants; a tenant that is not usable is a note. */
export function readSupavisor(text: string): Import {
  const tenants: ImportedTenant[] = []
  const notes: string[] = []
  for (const [index, raw] of listOf(text).entries()) {
    const parsed = named.safeParse(raw)
    if (!parsed.success) throw new ImportError(`tenant ${index + 1} has no external_id`)
    const ref = parsed.data.external_id
    const fault = refFault(ref)
    const fields = tenantFields.safeParse(withoutNulls(parsed.data))
    if (fault !== null) notes.push(`${JSON.stringify(ref)}: no ref for a project, since ${fault}`)
    else if (!fields.success) notes.push(`${ref}: ${faultsOf(fields.error)}`)
    else {
      tenants.push({ ref, fields: fields.data })
      notes.push(...notesOn(ref, parsed.data))
    }
  }
  return { tenants, notes, settings: [] }
}

function listOf(text: string): unknown[] {
  const whole = parseJson(text)
  if (whole === undefined) {
    const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
    return lines.map((line, index) => {
      const value = parseJson(line)
      if (value === undefined) throw new ImportError(`line ${index + 1} is no JSON`)
      return value
    })
  }
  const data = z.object({ data: z.unknown() }).safeParse(whole)
  const tenant = z.object({ tenant: z.unknown() }).safeParse(whole)
  const inner = data.success ? data.data.data : tenant.success ? tenant.data.tenant : whole
  return Array.isArray(inner) ? inner : [inner]
}

/** Supavisor answers null for what is not set; here that is left out. */
function withoutNulls(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const users = Array.isArray(value.users) ? { users: value.users.map(withoutNullsIn) } : {}
  return { ...withoutNullsIn(value), ...users }
}

function withoutNullsIn(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null))
}

function notesOn(ref: string, tenant: Readonly<Record<string, unknown>>): string[] {
  const notes: string[] = []
  const cluster = tenant.cluster ?? tenant.cluster_alias
  if (cluster !== undefined && cluster !== null) notes.push(`${ref}: clusters are not known here`)
  if (tenant.banned_at !== undefined && tenant.banned_at !== null) {
    notes.push(`${ref}: it was banned there; PATCH /api/tenants/${ref} bans it here`)
  }
  return notes
}

const faultsOf = (error: z.ZodError): string =>
  error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')

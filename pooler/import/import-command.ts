// `import`: reads somebody else's configuration, writes its projects into the metadata, and says what
// it did and what is left to do. Running processes learn of the projects as of any change.
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { ApiError } from '../api/api-error.ts'
import { readTenant } from '../api/tenant-input.ts'
import { StoreRefusal } from '../store/store-refusal.ts'
import type { TenantStore } from '../store/tenants.ts'
import { type Import, ImportError, type ImportedTenant } from './imported-tenant.ts'
import { readIni } from './ini-file.ts'
import { readPgbouncer } from './pgbouncer-import.ts'
import { readSupavisor } from './supavisor-import.ts'

export type ImportKind = 'supavisor' | 'pgbouncer'

export interface ImportRequest {
  readonly kind: ImportKind
  /** `-`: standard input. */
  readonly path: string
  /** Nothing is written. */
  readonly isDryRun: boolean
}

type Tenants = Pick<TenantStore, 'findDetails' | 'put'>

/** Returns the report. Throws ImportError; what one project lacks stands in the report. */
export async function runImport(request: ImportRequest, tenants: Tenants): Promise<string> {
  const found = await read(request)
  const lines: string[] = []
  for (const tenant of found.tenants) {
    lines.push(`${tenant.ref}: ${await write(tenant, tenants, request.isDryRun)}`)
  }
  if (found.tenants.length === 0) lines.push('no project was found')
  const notes = found.notes.map((note) => `  ${note}`)
  const settings = found.settings.map((setting) => `  ${setting}`)
  if (notes.length > 0) lines.push('', 'To look at:', ...notes)
  if (settings.length > 0) lines.push('', 'Settings that correspond:', ...settings)
  return `${lines.join('\n')}\n`
}

async function write(
  { ref, fields }: ImportedTenant,
  tenants: Tenants,
  isDryRun: boolean,
): Promise<string> {
  try {
    const stored = await tenants.findDetails(ref)
    const input = readTenant(fields, stored)
    const users = `${input.users.length} ${input.users.length === 1 ? 'role' : 'roles'}`
    if (isDryRun) return `would be ${stored === null ? 'made' : 'changed'}, ${users}`
    const { isCreated } = await tenants.put(ref, input)
    return `${isCreated ? 'made' : 'changed'}, ${users}`
  } catch (error) {
    if (error instanceof ApiError || error instanceof StoreRefusal)
      return `left out: ${error.message}`
    throw error
  }
}

async function read({ kind, path }: ImportRequest): Promise<Import> {
  const content = path === '-' ? await text(process.stdin) : await readText(path)
  if (kind === 'supavisor') return readSupavisor(content)
  const folder = path === '-' ? '.' : dirname(path)
  const globals = new Map(
    (readIni(content).get('pgbouncer') ?? []).map(({ key, value }) => [key, value]),
  )
  const beside = (name: string): Promise<string | null> => {
    const file = globals.get(name)
    return file === undefined ? Promise.resolve(null) : readText(resolve(folder, file))
  }
  return readPgbouncer({
    ini: content,
    userList: await beside('auth_file'),
    serverCa: await beside('server_tls_ca_file'),
  })
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ImportError(`${path}: ${(error as Error).message}`)
  }
}

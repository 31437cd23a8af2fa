// The format of pgbouncer.ini (pgbouncer.org/config.html): sections of `key = value`, comments from the
// beginning of a line, names in double quotes.
import { ImportError } from './imported-tenant.ts'

export interface IniEntry {
  readonly key: string
  readonly value: string
}

const linesMax = 100_000

/** By section, in order. Throws ImportError with the line. */
export function readIni(text: string): ReadonlyMap<string, readonly IniEntry[]> {
  const sections = new Map<string, IniEntry[]>()
  let entries: IniEntry[] | null = null
  const lines = text.split(/\r?\n/)
  if (lines.length > linesMax) throw new ImportError(`it has over ${linesMax} lines`)
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim()
    const where = `line ${index + 1}`
    if (line === '' || line.startsWith(';') || line.startsWith('#')) continue
    if (/^%include\b/i.test(line))
      throw new ImportError(`${where}: %include; put the files into one`)
    const section = /^\[([^\]]+)\]$/.exec(line)?.[1]?.trim().toLowerCase()
    if (section !== undefined) {
      entries = sections.get(section) ?? []
      sections.set(section, entries)
      continue
    }
    const [, quoted, plain, value] = /^(?:"((?:[^"]|"")*)"|([^\s="]+))\s*=\s*(.*)$/.exec(line) ?? []
    const key = quoted?.replaceAll('""', '"') ?? plain
    if (key === undefined || value === undefined) throw new ImportError(`${where}: no key = value`)
    if (entries === null) throw new ImportError(`${where}: outside of any section`)
    entries.push({ key, value: value.trim() })
  }
  return sections
}

/** A line of [databases]: `key=value` pairs, values in single quotes with quotes doubled. */
export function readConnectString(text: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>()
  const pattern = /\s*([a-z_]+)\s*=\s*(?:'((?:[^']|'')*)'|((?!')\S*))\s*/gy
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (match === null)
      throw new ImportError(`unreadable from ${JSON.stringify(text.slice(at, at + 20))}`)
    pairs.set(match[1] as string, match[2]?.replaceAll("''", "'") ?? match[3] ?? '')
  }
  return pairs
}

export interface UserEntry {
  readonly name: string
  readonly secret: string
}

/** PgBouncer's auth_file: `"name" "secret"` a line, quotes doubled, the rest of the line ignored. */
export function readUserList(text: string): UserEntry[] {
  const users: UserEntry[] = []
  for (const line of text.split(/\r?\n/)) {
    const [, name, secret] = /^\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"/.exec(line) ?? []
    if (name === undefined || secret === undefined) continue
    users.push({ name: name.replaceAll('""', '"'), secret: secret.replaceAll('""', '"') })
  }
  return users
}

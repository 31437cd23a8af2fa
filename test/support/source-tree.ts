// The project's own TypeScript files and who imports whom, found by pattern: enough for rules about
// structure, since the formatter writes every import in one of few shapes.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

export interface Import {
  /** A path from the root for a file of ours, else the package as it is written. */
  readonly target: string
  readonly isOurs: boolean
  readonly isTypeOnly: boolean
  /** What stands between `import` and `from`; empty for `import('…')`. */
  readonly clause: string
}

export interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string
  readonly text: string
  /** Without comments. */
  readonly code: string
  readonly imports: readonly Import[]
}

const importPattern =
  /^(?:import|export)\s+(type\s)?([^'"`;]*?)\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm

/** The files below the given folders of the root, in the order of their paths. */
export function readSourceTree(root: string, folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) => listFiles(root, folder))
    .sort()
    .map((path) => readSource(path, readFileSync(join(root, path), 'utf8')))
}

function listFiles(root: string, folder: string): string[] {
  let entries: string[]
  try {
    entries = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  } catch {
    return []
  }
  return entries.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`)
}

export function readSource(path: string, text: string): SourceFile {
  const code = withoutComments(text)
  const imports = [...code.matchAll(importPattern)].map(
    ([, type, clause = '', from, bare, dynamic]): Import => {
      const written = from ?? bare ?? dynamic ?? ''
      const isOurs = written.startsWith('.')
      return {
        target: isOurs ? normalize(join(dirname(path), written)) : written,
        isOurs,
        isTypeOnly: type !== undefined,
        clause,
      }
    },
  )
  return { path, text, code, imports }
}

/** Strings are kept whole, so that an address with two slashes is not taken for a comment. */
function withoutComments(text: string): string {
  return text.replace(
    /('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|(?<![\\:/])\/\/.*/g,
    (_match, quoted: string | undefined) => quoted ?? '',
  )
}

/** All that the file reaches over imports of ours, itself included, each with the way to it. */
export function reachOf(tree: readonly SourceFile[], from: SourceFile): Map<SourceFile, string> {
  const byPath = new Map(tree.map((file) => [file.path, file]))
  const ways = new Map([[from, from.path]])
  for (const [file, way] of ways) {
    for (const { target, isOurs } of file.imports) {
      const next = isOurs ? byPath.get(target) : undefined
      if (next !== undefined && !ways.has(next)) ways.set(next, `${way} > ${next.path}`)
    }
  }
  return ways
}

/** The first cycle of imports that Node would load, with the same path at both ends; else null. */
export function findCycle(tree: readonly SourceFile[]): string[] | null {
  const byPath = new Map(tree.map((file) => [file.path, file]))
  const done = new Set<string>()
  const open: string[] = []
  const visit = (path: string): string[] | null => {
    if (done.has(path)) return null
    const at = open.indexOf(path)
    if (at >= 0) return [...open.slice(at), path]
    open.push(path)
    for (const { target, isOurs, isTypeOnly } of byPath.get(path)?.imports ?? []) {
      const cycle = isOurs && !isTypeOnly && byPath.has(target) ? visit(target) : null
      if (cycle !== null) return cycle
    }
    open.pop()
    done.add(path)
    return null
  }
  for (const { path } of tree) {
    const cycle = visit(path)
    if (cycle !== null) return cycle
  }
  return null
}

// The files of the dashboard as browsers get them, read once. Modules are TypeScript on the disk: the
// types are taken out here (Node's own stripTypeScriptTypes leaves the rest where it stands), so
// there is no build step. Names of packages become paths, and all of it lies below a path that has
// the hash of all: what is cached there is never old.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

export interface DashboardFile {
  readonly type: string
  readonly body: Buffer
  readonly gzipped: Buffer
}

export interface DashboardFiles {
  /** `/assets/<hash>/`, in front of each name. */
  readonly base: string
  /** By path. */
  readonly files: ReadonlyMap<string, DashboardFile>
  readonly page: DashboardFile
}

/** What the page may have of node_modules, and under which name: these and nothing else. */
const packages: Readonly<Record<string, string>> = {
  preact: 'preact.js',
  'preact/hooks': 'preact-hooks.js',
  htm: 'htm.js',
}

const scriptType = 'text/javascript; charset=utf-8'
const publicFolder = join(import.meta.dirname, 'public')

/** `providerName`: whom people can sign in with, as a host's name; empty: nobody. */
export function loadDashboardFiles(providerName: string): DashboardFiles {
  const texts = new Map<string, string>()
  for (const name of readdirSync(publicFolder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = name.replaceAll('\\', '/')
    if (path.endsWith('.css')) texts.set(path, readPublic(path))
    if (path.endsWith('.ts')) texts.set(path.replace(/\.ts$/, '.js'), scriptOf(path))
  }
  for (const [target, name] of Object.entries(packages)) {
    const text = readFileSync(moduleFileOf(target), 'utf8')
    texts.set(name, withPaths(text, '').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'))
  }
  const template = readPublic('page.html')
  const hash = createHash('sha256')
  for (const [path, text] of [...texts, ['page.html', template] as const]) {
    hash.update(`${path}\0${text}\0`)
  }
  const base = `/assets/${hash.digest('hex').slice(0, 16)}/`
  const scripts = [...texts.keys()].filter((path) => path.endsWith('.js'))
  const preloads = scripts.map((path) => `<link rel="modulepreload" href="${base}${path}">`)
  const page = template
    .replace('<!-- preloads -->', preloads.join(''))
    .replaceAll('{base}', base)
    .replace('{provider}', providerName)
  const typeOf = (path: string) => (path.endsWith('.css') ? 'text/css; charset=utf-8' : scriptType)
  return {
    base,
    files: new Map(
      [...texts].map(([path, text]) => [`${base}${path}`, fileOf(typeOf(path), text)]),
    ),
    page: fileOf('text/html; charset=utf-8', page),
  }
}

/** Asked as a program would be given it; htm then has its module beside that file. */
function moduleFileOf(target: string): string {
  const file = createRequire(import.meta.url).resolve(target)
  return target === 'htm' ? join(dirname(file), 'htm.module.js') : file
}

const readPublic = (path: string): string => readFileSync(join(publicFolder, path), 'utf8')

function scriptOf(path: string): string {
  const toTop = '../'.repeat(path.split('/').length - 1)
  return withPaths(withoutTypes(readPublic(path)), toTop)
}

/**
 * Node runs this whole program through the same function, and still warns whoever calls it that it is
 * experimental. No operator can do anything about that line.
 */
function withoutTypes(text: string): string {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(text)
  } finally {
    process.emitWarning = emitWarning
  }
}

/** Browsers know no packages and no TypeScript: `preact` is a path here, and `.ts` is `.js`. */
function withPaths(script: string, toTop: string): string {
  return script.replace(
    /(\bfrom\s*|\bimport\s*)(["'])([^"'\n]+)\2/g,
    (whole, before: string, quote: string, target: string) => {
      const known = packages[target]
      if (known !== undefined) return `${before}${quote}${toTop || './'}${known}${quote}`
      if (!target.startsWith('.')) return whole
      return `${before}${quote}${target.replace(/\.ts$/, '.js')}${quote}`
    },
  )
}

function fileOf(type: string, text: string): DashboardFile {
  const body = Buffer.from(text)
  return { type, body, gzipped: gzipSync(body) }
}

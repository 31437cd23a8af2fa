// The rules of the architecture that a reader must be able to rely on. A rule that is in the way is
// argued about in DECISIONS.md, not widened here.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import {
  findCycle,
  type Import,
  reachOf,
  readSourceTree,
  type SourceFile,
} from './support/source-tree.ts'

const root = resolve(import.meta.dirname, '..')
const tree = readSourceTree(root, ['pooler', 'shared', 'bench', 'test'])
const product = tree.filter(isIn('pooler/', 'shared/'))

/** A function declaration, so that it is there before the constants above are made. */
function isIn(...prefixes: readonly string[]): (file: { readonly path: string }) => boolean {
  return ({ path }) => prefixes.some((prefix) => path.startsWith(prefix))
}

/** One line for each import that breaks a rule. */
function importsThat(
  files: readonly SourceFile[],
  isForbidden: (each: Import, file: SourceFile) => boolean,
): string[] {
  return files.flatMap((file) =>
    file.imports
      .filter((each) => isForbidden(each, file))
      .map(({ target }) => `${file.path} imports ${target}`),
  )
}

/** One line for each way, however long, from one of the files to something forbidden. */
function waysTo(files: readonly SourceFile[], isForbidden: (each: Import) => boolean): string[] {
  const ways = files.flatMap((file) =>
    [...reachOf(product, file)].flatMap(([reached, way]) =>
      reached.imports.filter(isForbidden).map(({ target }) => `${way} > ${target}`),
    ),
  )
  return [...new Set(ways)]
}

/** One line for each place where code, comments aside, has what it may not have. */
function placesOf(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    [...file.code.matchAll(pattern)].map(([match]) => `${file.path} has ${match}`),
  )
}

const socketModules = /^node:(net|tls|http|https|http2|dgram)$/

/** Looking at an address is not touching a socket. */
const isSocketImport = ({ target, clause }: Import): boolean =>
  socketModules.test(target) && !/^\{\s*(isIP|isIPv4|isIPv6|BlockList|,|\s)+\}\s*$/.test(clause)

const leadsInto =
  (...prefixes: readonly string[]) =>
  ({ target, isOurs }: Import): boolean =>
    isOurs && prefixes.some((prefix) => target.startsWith(prefix))

test('there is something to look at', () => {
  expect(product.length).toBeGreaterThan(20)
  expect(product.flatMap((file) => file.imports).length).toBeGreaterThan(50)
})

test('shared imports nothing of ours from outside shared', () => {
  const leavesShared = ({ target, isOurs }: Import) => isOurs && !target.startsWith('shared/')
  expect(importsThat(tree.filter(isIn('shared/')), leavesShared)).toEqual([])
})

test('protocol and startup reader touch no socket, by any way', () => {
  const files = product.filter(isIn('shared/protocol/', 'pooler/startup/startup-reader.ts'))
  expect(files.length).toBeGreaterThan(1)
  expect(waysTo(files, isSocketImport)).toEqual([])
})

test('the relay knows nothing of stores, tokens, HTTP, prom-client or log formats, by any way', () => {
  const isForbidden = (each: Import) =>
    leadsInto(
      'pooler/store/',
      'pooler/access/',
      'pooler/api/',
      'pooler/auth/',
      'shared/log',
    )(each) || /^(node:https?|fastify|prom-client|pino|jose|kysely|pg)$/.test(each.target)
  expect(waysTo(product.filter(isIn('pooler/relay/')), isForbidden)).toEqual([])
})

test('auth sees no pool: of the pool folder it has only what opens one connection', () => {
  const isPool = (each: Import) =>
    /^pooler\/pool\/(pool|server-connection|janitor)/.test(each.target)
  expect(waysTo(product.filter(isIn('pooler/auth/')), isPool)).toEqual([])
})

test('the pool sees no token, by any way', () => {
  const isToken = leadsInto('pooler/access/', 'pooler/auth/token-')
  expect(waysTo(product.filter(isIn('pooler/pool/')), isToken)).toEqual([])
})

test('api, admin and dashboard see registries and stores, never sockets', () => {
  const files = product.filter(isIn('pooler/api/', 'pooler/admin/', 'pooler/dashboard/'))
  // The API's own HTTP server is its only socket; clients' and servers' are out of its sight.
  const isForbidden = (each: Import) =>
    (isSocketImport(each) && !/^node:https?$/.test(each.target)) ||
    leadsInto(
      'pooler/relay/',
      'pooler/client/',
      'pooler/accept/listener',
      'pooler/accept/tls',
    )(each)
  expect(importsThat(files, isForbidden)).toEqual([])
})

test('what runs in the browser imports nothing but itself, Preact and htm, and is imported by no server', () => {
  const inBrowser = isIn('pooler/dashboard/public/')
  const isForeign = ({ target, isOurs }: Import) =>
    isOurs ? !target.startsWith('pooler/dashboard/public/') : !/^(preact|htm)(\/|$)/.test(target)
  expect(importsThat(product.filter(inBrowser), isForeign)).toEqual([])
  const server = product.filter((file) => !inBrowser(file))
  expect(importsThat(server, leadsInto('pooler/dashboard/public/'))).toEqual([])
})

test('environment, exit and signals belong to the edge of the process, cli.ts and config', () => {
  const edges = [
    'pooler/main.ts',
    'pooler/worker-main.ts',
    'pooler/process-edge.ts',
    'pooler/cli.ts',
  ]
  // A browser has none of them; lines that it shows may speak of them.
  const files = product.filter(
    (file) => !isIn(...edges, 'pooler/config/', 'pooler/dashboard/public/')(file),
  )
  const edge =
    /\bprocess\s*\.\s*(env|exit|exitCode|abort)\b|\bprocess\s*\.\s*(on|once|addListener)\(\s*'(SIG|uncaught|unhandled)\w*/g
  expect(placesOf(files, edge)).toEqual([])
})

test('time, timers and chance that tests must steer come through clock.ts', () => {
  // The embedded Postgres belongs to a developer's machine; nothing that serves clients is in it. What
  // runs in a browser has the browser's time, and decides nothing.
  const files = product.filter(
    (file) => !isIn('shared/clock.ts', 'pooler/embedded/', 'pooler/dashboard/public/')(file),
  )
  const unsteered = /(?<![.\w])(setTimeout|setInterval)\(|\bDate\.now\(|\bMath\.random\(/g
  expect(placesOf(files, unsteered)).toEqual([])
  // Rows note when they were changed; no decision rests on it.
  const decisions = files.filter((file) => !isIn('pooler/store/')(file))
  expect(placesOf(decisions, /\bnew Date\(\)/g)).toEqual([])
  const isTimer = ({ target, clause }: Import) =>
    /^node:timers/.test(target) && !/^\{ setImmediate( as \w+)? \}/.test(clause)
  expect(importsThat(files, isTimer)).toEqual([])
})

test('nothing of the product imports tests or benchmarks', () => {
  expect(importsThat(product, leadsInto('test/', 'bench/'))).toEqual([])
})

test('the product imports only packages that are installed with it', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const isMissing = ({ target, isOurs, isTypeOnly, clause }: Import) => {
    if (isOurs || target.startsWith('node:') || isTypeOnly) return false
    const name = target
      .split('/')
      .slice(0, target.startsWith('@') ? 2 : 1)
      .join('/')
    // import('…') is for what may be missing and is asked for with that in mind.
    return clause !== '' && !(name in dependencies)
  }
  expect(importsThat(product, isMissing)).toEqual([])
})

test('no file imports itself over others, imports of types aside', () => {
  expect(findCycle(tree)).toBeNull()
})

test('there are no default exports, and nothing is exported from a second place', () => {
  const files = tree.filter((file) => file.path !== 'test/vitest.config.ts')
  expect(
    placesOf(files, /^export default\b|^export (type )?(\*|\{[^}]*\})\s*(as \w+ )?from\b/gm),
  ).toEqual([])
  expect(tree.map((file) => file.path).filter((path) => /\/index\.ts$/.test(path))).toEqual([])
})

test('no file has more than 400 lines', () => {
  const tooLong = tree.filter((file) => file.text.split('\n').length - 1 > 400)
  expect(tooLong.map((file) => file.path)).toEqual([])
})

test('names of files are kebab-case', () => {
  const isKebab = /^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench|config))?\.ts$/
  expect(tree.map((file) => file.path).filter((path) => !isKebab.test(path))).toEqual([])
})

test('nothing is left for later in comments', () => {
  const marker = new RegExp(
    `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`,
  )
  expect(tree.filter((file) => marker.test(file.text)).map((file) => file.path)).toEqual([])
})

test('each limit has its reason above it', () => {
  const limits = readFileSync(join(root, 'pooler/config/limits.ts'), 'utf8').split('\n')
  const bare = limits.filter(
    (line, at) => line.startsWith('export const') && !/\*\/$|^\/\/ /.test(limits[at - 1] ?? ''),
  )
  expect(bare).toEqual([])
})

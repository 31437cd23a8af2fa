// Settings that come from files which Node was told to read (`node --env-file`). What is in the
// environment already counts for more than a file, so a successor would go on with the settings of its
// predecessor; without those that its predecessor had from a file, it reads that file as it is now.
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import type { Environment } from './load-config.ts'

/** Names that have the value of such a file. Called at start, while the files are what Node has read. */
export function namesFromFiles(execArgv: readonly string[], env: Environment): readonly string[] {
  return pathsIn(execArgv).flatMap((path) => {
    const values = contentOf(path)
    return Object.keys(values).filter((name) => values[name] === env[name])
  })
}

export const without = (env: Environment, names: readonly string[]): Environment =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)))

/** `--env-file=PATH`, or in two words; `--env-file-if-exists` likewise. */
function pathsIn(execArgv: readonly string[]): string[] {
  return execArgv.flatMap((argument, at) => {
    const [, , path] = /^--env-file(-if-exists)?(?:=(.*))?$/s.exec(argument) ?? []
    if (path !== undefined) return [path]
    return /^--env-file(-if-exists)?$/.test(argument) ? (execArgv[at + 1] ?? []) : []
  })
}

/** Node itself refuses to start without a file that has to be there. */
function contentOf(path: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch {
    return {}
  }
}

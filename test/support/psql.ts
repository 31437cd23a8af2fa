import { Program, type ProgramOptions, type ProgramResult, runProgram } from './program.ts'

/** Bare rows, columns separated by |, no start-up file, stops with exit code 3 at the first error. */
const plain = ['--no-psqlrc', '--no-align', '--tuples-only', '--quiet', '--no-password']
const strict = ['--set', 'ON_ERROR_STOP=1', '--set', 'VERBOSITY=verbose']

/**
 * Runs psql with a script, as somebody would type it: backslash commands work. Exit code 2 is a
 * failed connection (psql's manual, "Exit Status"). `args` come after ours.
 */
export function psql(
  url: string,
  script: string,
  { args = [], ...options }: Omit<ProgramOptions, 'input'> & { args?: readonly string[] } = {},
): Promise<ProgramResult> {
  return runProgram('psql', [...plain, ...strict, ...args, url], { ...options, input: script })
}

/** A psql that stays: `write` statements to it, `kill('SIGINT')` cancels the running one. */
export function openPsql(url: string, options: Omit<ProgramOptions, 'input'> = {}): Program {
  return new Program('psql', [...plain, ...strict, url], options)
}

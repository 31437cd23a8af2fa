// From words to a command: finds it, reads its options, runs it, and turns what went wrong into a line
// and an exit code.
import { parseArgs } from 'node:util'
import { systemClock } from '../../shared/clock.ts'
import { version } from '../version.ts'
import { ApiClient } from './api-client.ts'
import { CliError, exitCodes } from './cli-error.ts'
import type { Command, CommandContext, CommandInput, OptionSpec } from './command.ts'
import { commands } from './commands.ts'
import { Credentials } from './credentials.ts'
import { commandHelp, commonOptions, overallHelp } from './help.ts'
import { clean, Output, type OutputForm } from './output.ts'

export interface CliSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Of standard output: tables for people, JSON for what reads a pipe. */
  readonly isTerminal: boolean
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** A program in the foreground gets them as well, and what they mean is for it to say. */
  readonly ignoreInterrupts: () => void
}

const usualApi = 'http://127.0.0.1:4000'

/** The exit code. Never rejects but for a bug. */
export async function runCommandLine(
  words: readonly string[],
  surroundings: CliSurroundings,
): Promise<number> {
  const { out, err } = surroundings
  try {
    if (words[0] === '--version') {
      out(`latchkey ${version}\n`)
      return exitCodes.ok
    }
    const command = findCommand(words)
    if (command === null) return helpOn(words, surroundings)
    const parsed = parse(command, words.slice(command.words.split(' ').length))
    if (parsed.flag('help')) {
      out(commandHelp(command))
      return exitCodes.ok
    }
    checkArguments(command, parsed)
    return (await command.run(parsed, contextOf(parsed, surroundings))) ?? exitCodes.ok
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    err(`latchkey: ${clean(error.message)}\n`)
    if (error.hint !== null) err(`  ${clean(error.hint)}\n`)
    return exitCodes[error.failure]
  }
}

/** The one whose words are the longest that stand at the beginning. */
function findCommand(words: readonly string[]): Command | null {
  const isSaid = (command: Command) =>
    command.words.split(' ').every((word, index) => word === words[index])
  const said = commands.filter(isSaid)
  return said.sort((a, b) => b.words.length - a.words.length)[0] ?? null
}

/** `rules --help` tells of all commands that begin with it; so does `rules` alone, as a fault. */
function helpOn(words: readonly string[], { out, err }: CliSurroundings): number {
  const topic = words.filter((word) => !word.startsWith('-'))
  const isAsked =
    words.length === 0 || words.some((word) => ['--help', '-h', 'help'].includes(word))
  const group = topic[0] === 'help' ? topic[1] : topic[0]
  const concerned = commands.filter(({ words: said }) => said.split(' ')[0] === group)
  if (isAsked) {
    out(overallHelp(concerned.length > 0 ? concerned : commands))
    return exitCodes.ok
  }
  err(`latchkey: there is no command "${clean(topic.join(' ') || words.join(' '))}"\n\n`)
  err(overallHelp(concerned.length > 0 ? concerned : commands))
  return exitCodes.usage
}

function parse(command: Command, words: readonly string[]): CommandInput {
  const dashes = words.indexOf('--')
  const own = dashes === -1 ? words : words.slice(0, dashes)
  const options: Readonly<Record<string, OptionSpec>> = { ...commonOptions, ...command.options }
  const specs = Object.entries(options).map(([name, spec]) => [
    name,
    {
      type: spec.value === null ? ('boolean' as const) : ('string' as const),
      multiple: spec.isRepeated === true,
      ...(name === 'help' && { short: 'h' }),
    },
  ])
  try {
    const parsed = parseArgs({
      args: [...own],
      options: Object.fromEntries(specs),
      allowPositionals: true,
    })
    const values = parsed.values as Readonly<Record<string, string | boolean | string[]>>
    const textsOf = (name: string): string[] => [values[name] ?? []].flat().map(String)
    return {
      args: parsed.positionals,
      rest: dashes === -1 ? [] : words.slice(dashes + 1),
      text: (name) => textsOf(name).at(-1),
      texts: textsOf,
      flag: (name) => values[name] === true,
    }
  } catch (cause) {
    const [said] = (cause as Error).message.split('. ')
    throw new CliError('usage', said as string, `latchkey ${command.words} --help`)
  }
}

function checkArguments(command: Command, { args, rest }: CommandInput): void {
  const needed = command.args.filter((name) => !name.endsWith('?'))
  const missing = needed[args.length]
  const hint = `latchkey ${command.words} --help`
  if (args.some((text) => /^sbp_[0-9a-z]{20,}$|^eyJ/.test(text))) {
    throw new CliError(
      'usage',
      'a token is never an argument: it would stand in the list of processes',
      'revoke this one; set LATCHKEY_TOKEN',
    )
  }
  if (missing !== undefined) throw new CliError('usage', `<${missing}> is missing`, hint)
  const extra = args[command.args.length]
  if (extra !== undefined) throw new CliError('usage', `"${extra}" is one too many`, hint)
  if (rest.length > 0 && command.takesRest !== true) {
    throw new CliError('usage', `nothing follows -- here`, hint)
  }
}

function contextOf(input: CommandInput, surroundings: CliSurroundings): CommandContext {
  const { env, isTerminal, out, err, ignoreInterrupts } = surroundings
  const form: OutputForm =
    input.flag('json') || !(isTerminal || input.flag('table')) ? 'json' : 'table'
  const credentials = new Credentials(env, input.text('token-file'))
  const api = new ApiClient({
    url: input.text('api') ?? env.LATCHKEY_API ?? usualApi,
    token: () => credentials.token(),
    operatorJwt: () => credentials.operatorJwt(),
  })
  return {
    api,
    credentials,
    env,
    output: new Output({ form, out, err }),
    nowMs: systemClock.wallMs(),
    ignoreInterrupts,
  }
}

// What --help says: of all commands, or of one.
import { exitCodes } from './cli-error.ts'
import type { Command, OptionSpec } from './command.ts'

export const commonOptions = {
  api: { value: 'url', help: 'Address of the API; else LATCHKEY_API, else http://127.0.0.1:4000.' },
  'token-file': { value: 'path', help: 'File with the token, mode 0600; else LATCHKEY_TOKEN.' },
  json: { value: null, help: 'JSON, as the API gives it. Usual where no terminal looks.' },
  table: { value: null, help: 'Tables, also where no terminal looks.' },
  help: { value: null, help: 'This.' },
} as const satisfies Record<string, OptionSpec>

const indent = '  '

export function overallHelp(commands: readonly Command[]): string {
  const lines = commands.map((command) => [usageOf(command), command.summary] as const)
  return [
    'Temporary database access from the command line.',
    '',
    'usage: latchkey <command> [options]',
    '       npm run -s cli -- <command> [options]',
    '',
    ...columns(lines),
    '',
    'The token comes from LATCHKEY_TOKEN, or from a file that only you may read: --token-file,',
    'LATCHKEY_TOKEN_FILE, or ~/.config/latchkey/token. It is never an argument. The commands of',
    'admin use the operator’s key: LATCHKEY_API_JWT, or API_JWT_SECRET as the pooler has it.',
    '',
    'options of every command:',
    ...columns(optionLines(commonOptions)),
    '',
    `exit codes: ${Object.entries(exitCodes)
      .map(([name, code]) => `${code} ${wordsOf[name as keyof typeof exitCodes]}`)
      .join(', ')}`,
    '',
  ].join('\n')
}

export function commandHelp(command: Command): string {
  const { options = {}, more } = command
  const own = optionLines(options)
  return [
    `usage: latchkey ${usageOf(command)}${own.length > 0 ? ' [options]' : ''}`,
    '',
    command.summary,
    ...(more === undefined ? [] : ['', more]),
    ...(own.length > 0 ? ['', 'options:', ...columns(own)] : []),
    '',
    'options of every command:',
    ...columns(optionLines(commonOptions)),
    '',
  ].join('\n')
}

const wordsOf: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'done',
  failed: 'failed',
  usage: 'not understood',
  unauthorized: 'no valid token',
  forbidden: 'not allowed',
  notFound: 'not found',
  unreachable: 'no answer',
}

function usageOf({ words, args, takesRest }: Command): string {
  const shown = args.map((name) => (name.endsWith('?') ? `[${name.slice(0, -1)}]` : `<${name}>`))
  return [words, ...shown, ...(takesRest === true ? ['[-- …]'] : [])].join(' ')
}

function optionLines(options: Readonly<Record<string, OptionSpec>>) {
  return Object.entries(options).map(([name, { value, help }]) => {
    const said = value === null ? `--${name}` : `--${name} <${value}>`
    return [said, help] as const
  })
}

function columns(lines: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}`)
}

// Runs psql with the string of one of the caller's rules. The token goes by the environment: the
// arguments of a program are for everybody on the machine to read.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { CliError } from '../cli-error.ts'
import type { Command } from '../command.ts'

interface AccessItem {
  readonly role: string
  readonly is_active: boolean
  readonly project: { readonly ref: string }
  readonly connection_strings: {
    readonly transaction: string
    readonly session: string
    readonly direct: string | null
  }
}

type Mode = keyof AccessItem['connection_strings']
const modes: readonly Mode[] = ['transaction', 'session', 'direct']

/** The one rule that is meant. */
function ruleFor(items: readonly AccessItem[], ref: string, role: string | undefined): AccessItem {
  const here = items.filter(({ project }) => project.ref === ref)
  const said = here.filter((item) => role === undefined || item.role === role)
  const active = said.filter((item) => item.is_active)
  const check = `latchkey check ${ref} tells what is in the way`
  if (here.length === 0)
    throw new CliError('forbidden', `you have no rule in project ${ref}`, check)
  if (said.length === 0)
    throw new CliError('forbidden', `you have no rule for ${role}`, rolesOf(here))
  if (active.length === 0) throw new CliError('forbidden', 'your rule does not open it now', check)
  if (active.length > 1)
    throw new CliError('usage', 'name one of your roles: --role', rolesOf(active))
  return active[0] as AccessItem
}

const rolesOf = (items: readonly AccessItem[]): string =>
  `you have ${items.map(({ role }) => role).join(', ')}`

function stringOf({ connection_strings: strings }: AccessItem, said: string, ca?: string): string {
  const mode = modes.find((one) => one === said)
  if (mode === undefined) throw new CliError('usage', `--mode is one of ${modes.join(', ')}`)
  const text = strings[mode]
  if (text === null) throw new CliError('failed', 'this pooler has no direct hosts')
  if (ca === undefined) return text
  const rootCert = `sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`
  return text.replace('sslmode=require', rootCert)
}

export const connectCommand: Command = {
  words: 'connect',
  args: ['ref'],
  summary: 'Opens psql as a role that a rule gives you.',
  more: 'What stands behind -- is for psql: latchkey connect shop -- -c "select 1". Its exit code is yours.',
  takesRest: true,
  options: {
    role: { value: 'role', help: 'Which, where you have more than one.' },
    mode: { value: 'mode', help: 'transaction (usual), session or direct.' },
    database: { value: 'name', help: "Another than the project's own." },
    'ssl-root-cert': {
      value: 'path',
      help: 'Checks the certificate of the pooler by this authority.',
    },
  },
  async run({ args: [ref = ''], rest, text }, { api, credentials, env, output, ignoreInterrupts }) {
    const { body } = await api.get('/v1/profile/access')
    const rule = ruleFor((body as { items: AccessItem[] }).items, ref, text('role'))
    const string = stringOf(rule, text('mode') ?? 'transaction', text('ssl-root-cert'))
    const database = text('database')
    const url = new URL(string)
    if (database !== undefined) url.pathname = `/${encodeURIComponent(database)}`
    // URL writes what libpq reads; a blank in the query stays %20.
    const target = database === undefined ? string : url.href
    output.note(`${rule.role} in ${ref}`)
    const {
      LATCHKEY_TOKEN: _token,
      API_JWT_SECRET: _secret,
      LATCHKEY_API_JWT: _jwt,
      ...others
    } = env
    ignoreInterrupts()
    const secret = (await credentials.token()).reveal()
    return await runPsql(target, rest, { ...loopbackEnvOf(url), ...others, PGPASSWORD: secret })
  },
}

/**
 * Names below localhost are loopback (RFC 6761), but not every resolver knows. libpq then asks none, and
 * still holds the certificate against the name.
 */
export const loopbackEnvOf = ({ hostname }: URL): Record<string, string> =>
  /(^|\.)localhost$/.test(hostname) ? { PGHOSTADDR: '127.0.0.1' } : {}

/** Its exit code; 128 and the number of a signal that ended it, as in a shell. */
function runPsql(
  target: string,
  more: readonly string[],
  env: Record<string, string | undefined>,
): Promise<number> {
  const child = spawn('psql', [target, ...more], { stdio: 'inherit', env })
  return new Promise((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const isMissing = cause.code === 'ENOENT'
      const text = isMissing ? 'psql is not installed' : `psql cannot be run: ${cause.message}`
      reject(
        new CliError(
          'failed',
          text,
          isMissing ? 'it comes with the Postgres client programs' : null,
        ),
      )
    })
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    )
  })
}

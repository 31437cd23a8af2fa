// A person's own tokens. A new one is shown once, and never asked for as an argument.
import { segment } from '../api-client.ts'
import type { Command, CommandContext, CommandInput, OptionSpec } from '../command.ts'
import type { Row } from '../output.ts'
import { endOf, timeText } from '../times.ts'

interface Token {
  readonly id: string
  readonly name: string
  readonly prefix: string
  readonly token?: string
  readonly permissions: readonly string[] | null
  readonly projects: readonly string[] | null
  readonly roles: readonly string[] | null
  readonly networks: readonly string[] | null
  readonly expires_at: number | null
  readonly last_used_at: string | null
}

const rowOf = (token: Token): Row => ({
  id: token.id,
  name: token.name,
  begins: `${token.prefix}…`,
  until: timeText(token.expires_at),
  'last used': token.last_used_at,
  permissions: token.permissions?.join(' '),
  projects: token.projects?.join(' '),
  roles: token.roles?.join(' '),
  networks: token.networks?.join(' '),
})

export const newTokenOptions: Readonly<Record<string, OptionSpec>> = {
  until: { value: 'time', help: '8h, 90d, or a date; without it the token has no end.' },
  permission: { value: 'name', help: 'Only this; may be given several times.', isRepeated: true },
  project: { value: 'ref', help: 'In this project only; several times.', isRepeated: true },
  role: { value: 'role', help: 'Logs in as this role only; several times.', isRepeated: true },
  network: { value: 'cidr', help: 'Logs in from there only; several times.', isRepeated: true },
}

export function newTokenBody(name: string, { text, texts }: CommandInput, nowMs: number): object {
  const until = text('until')
  const scope = {
    permissions: 'permission',
    projects: 'project',
    roles: 'role',
    networks: 'network',
  }
  const given = Object.entries(scope).map(([key, option]) => [key, texts(option)] as const)
  return {
    name,
    ...(until !== undefined && { expires_at: endOf(until, nowMs) }),
    ...Object.fromEntries(given.filter(([, list]) => list.length > 0)),
  }
}

/** The token alone on a line of its own, so that it can be taken from there. */
export function showNewToken(body: unknown, { output }: CommandContext): void {
  const made = body as Token
  if (output.form === 'table') {
    output.note(`token ${made.name} (${made.id}), shown this once:`)
    output.raw(`${made.token}\n`)
  } else output.one(made, {})
}

export const tokenCommands: readonly Command[] = [
  {
    words: 'tokens list',
    args: [],
    summary: 'Your tokens.',
    async run(_input, { api, output }) {
      const { body } = await api.get('/v1/access-tokens')
      output.list(body, (body as Token[]).map(rowOf), 'You have no token.')
      return undefined
    },
  },
  {
    words: 'tokens create',
    args: ['name'],
    summary: 'Makes a token, all you may or less, and shows it once.',
    more: 'A login to a database needs the permission database_jit_read where permissions are given.',
    options: newTokenOptions,
    async run(input, context) {
      const body = newTokenBody(input.args[0] ?? '', input, context.nowMs)
      showNewToken((await context.api.ask('POST', '/v1/access-tokens', { body })).body, context)
      return undefined
    },
  },
  {
    words: 'tokens revoke',
    args: ['id'],
    summary: 'Ends a token and who is in with it.',
    async run({ args: [id = ''] }, { api, output }) {
      await api.ask('DELETE', `/v1/access-tokens/${segment(id)}`)
      output.done({ id, revoked: true }, `Token ${id} is revoked.`)
      return undefined
    },
  },
]

// Rules of a project: who may be which role, from where and until when. The API replaces all rules of
// a person at once; these change one, and lose nothing that somebody else changed meanwhile.
import { type ApiClient, segment } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import type { Command, CommandContext, CommandInput } from '../command.ts'
import type { Row } from '../output.ts'
import { findPerson } from '../people.ts'
import { endOf, timeText } from '../times.ts'

interface Grant {
  readonly role: string
  readonly expires_at?: number
  readonly allowed_networks?: {
    readonly allowed_cidrs?: readonly { readonly cidr: string }[]
    readonly allowed_cidrs_v6?: readonly { readonly cidr: string }[]
  }
  readonly branches_only?: boolean
  readonly reason?: string
}

interface Mapping {
  readonly user_id: string
  readonly primary_email?: string | null
  readonly user_roles: readonly Grant[]
  readonly warnings?: readonly string[]
}

const pathOf = (ref: string, rest = ''): string =>
  `/v1/projects/${segment(ref)}/database/jit${rest}`

const rowsOf = ({ user_id, primary_email, user_roles }: Mapping): Row[] =>
  user_roles.map((grant) => ({
    person: primary_email ?? user_id,
    role: grant.role,
    until: timeText(grant.expires_at) ?? 'without end',
    networks: networksOf(grant).join(' ') || 'any',
    branches: grant.branches_only === true ? 'only' : null,
    reason: grant.reason,
  }))

const networksOf = ({ allowed_networks: networks }: Grant): string[] =>
  [...(networks?.allowed_cidrs ?? []), ...(networks?.allowed_cidrs_v6 ?? [])].map(
    ({ cidr }) => cidr,
  )

/** What the person has, and by what it is known if somebody changes it. */
async function rulesOf(api: ApiClient, ref: string, userId: string) {
  const { status, etag, body } = await api.get(pathOf(ref, `/${userId}`), { allow: [404] })
  if (status === 200) return { grants: (body as Mapping).user_roles, etag }
  // No such project, or no rule yet: the project says which.
  await api.get(`/v1/projects/${segment(ref)}/jit-access`)
  return { grants: [], etag: null }
}

function show(mapping: Mapping, { output }: CommandContext, ifEmpty: string): void {
  output.list(mapping, rowsOf(mapping), ifEmpty)
  for (const warning of mapping.warnings ?? []) output.note(`warning: ${warning}`)
}

function grantOf(role: string, { text, texts, flag }: CommandInput, nowMs: number): Grant {
  const until = text('until')
  const reason = text('reason')
  const cidrs = texts('network').map((given) => ({
    cidr: given.includes('/') ? given : `${given}/${given.includes(':') ? 128 : 32}`,
  }))
  const v4 = cidrs.filter(({ cidr }) => !cidr.includes(':'))
  const v6 = cidrs.filter(({ cidr }) => cidr.includes(':'))
  return {
    role,
    ...(until !== undefined && { expires_at: endOf(until, nowMs) }),
    ...(cidrs.length > 0 && {
      allowed_networks: {
        ...(v4.length > 0 && { allowed_cidrs: v4 }),
        ...(v6.length > 0 && { allowed_cidrs_v6: v6 }),
      },
    }),
    ...(flag('branches-only') && { branches_only: true }),
    ...(reason !== undefined && { reason }),
  }
}

const list: Command = {
  words: 'rules list',
  args: ['ref'],
  summary: 'The rules of a project; your own, where you may see no others.',
  async run({ args: [ref = ''] }, context) {
    const { api, output } = context
    const all = await api.get(pathOf(ref, '/list'), { allow: [403] })
    if (all.status === 200) {
      const { items } = all.body as { items: readonly Mapping[] }
      output.list(all.body, items.flatMap(rowsOf), 'There is no rule.')
      return undefined
    }
    output.note('you may see your own rules only')
    const own = await api.get(pathOf(ref), { allow: [406] })
    if (own.status === 406) output.list({ user_roles: [] }, [], 'You have no rule.')
    else show(own.body as Mapping, context, 'You have no rule.')
    return undefined
  },
}

const add: Command = {
  words: 'rules add',
  args: ['ref', 'person', 'role'],
  summary: 'Lets a person be a role; replaces the rule they had for it.',
  more: 'The person is a user_id, the e-mail of a member, or me.',
  options: {
    until: {
      value: 'time',
      help: '8h, 14d, or 2026-12-31T18:00Z; without it the rule has no end.',
    },
    network: {
      value: 'cidr',
      help: 'From there only; may be given several times.',
      isRepeated: true,
    },
    'branches-only': { value: null, help: 'For branches of the project, not for itself.' },
    reason: { value: 'text', help: 'Why, for the record.' },
  },
  async run(input, context) {
    const [ref = '', who = '', role = ''] = input.args
    const { api, nowMs } = context
    const grant = grantOf(role, input, nowMs)
    const userId = await findPerson(api, ref, who)
    const { grants, etag } = await rulesOf(api, ref, userId)
    const roles = [...grants.filter((one) => one.role !== role), grant]
    const { body } = await api.ask('PUT', pathOf(ref), {
      body: { user_id: userId, roles },
      ifMatch: etag,
    })
    show(body as Mapping, context, '')
    return undefined
  },
}

const remove: Command = {
  words: 'rules remove',
  args: ['ref', 'person', 'role?'],
  summary: 'Takes a role from a person, who is out within a second if they are in.',
  options: { all: { value: null, help: 'All roles, where none is named.' } },
  async run({ args: [ref = '', who = '', role], flag }, context) {
    const { api, output } = context
    if ((role === undefined) !== flag('all')) {
      throw new CliError('usage', 'name the role, or give --all')
    }
    const userId = await findPerson(api, ref, who)
    const { grants, etag } = await rulesOf(api, ref, userId)
    const roles = grants.filter((one) => role !== undefined && one.role !== role)
    if (grants.length === roles.length) {
      throw new CliError(
        'notFound',
        role === undefined ? `${who} has no rule` : `${who} has no rule for ${role}`,
      )
    }
    if (roles.length === 0) {
      await api.ask('DELETE', pathOf(ref, `/${userId}`), { ifMatch: etag })
      output.done({ user_id: userId, user_roles: [] }, `${who} has no rule any more.`)
      return undefined
    }
    const { body } = await api.ask('PUT', pathOf(ref), {
      body: { user_id: userId, roles },
      ifMatch: etag,
    })
    show(body as Mapping, context, '')
    return undefined
  },
}

export const ruleCommands: readonly Command[] = [list, add, remove]

// What a person finds out about themselves: who the token is, which projects, what would happen.
import { segment } from '../api-client.ts'
import { exitCodes } from '../cli-error.ts'
import type { Command } from '../command.ts'
import { timeText } from '../times.ts'

interface AccessItem {
  readonly role: string
  readonly expires_at?: number
  readonly is_active: boolean
  readonly project: { readonly ref: string; readonly name: string }
}

interface CheckAnswer {
  readonly allowed: boolean | null
  readonly results: readonly {
    readonly role: string | null
    readonly allowed: boolean
    readonly checks: readonly {
      readonly check: string
      readonly passed: boolean | null
      readonly reason: string | null
    }[]
  }[]
}

export const accountCommands: readonly Command[] = [
  {
    words: 'whoami',
    args: [],
    summary: 'Whose token it is, and which roles it opens in which projects.',
    async run(_input, { api, output }) {
      const { body: profile } = await api.get('/v1/profile')
      const { body: access } = await api.get('/v1/profile/access')
      const { gotrue_id, primary_email, username } = profile as Record<string, string>
      const { items } = access as { items: readonly AccessItem[] }
      const all = { ...(profile as object), access: items }
      if (output.form === 'json') output.one(all, {})
      else {
        output.one(all, { name: username, 'e-mail': primary_email, user_id: gotrue_id })
        output.note('')
        const rows = items.map(({ project, role, is_active, expires_at }) => ({
          project: project.ref,
          name: project.name,
          role,
          open: is_active,
          until: timeText(expires_at),
        }))
        output.list(items, rows, 'No rule gives you a role.')
      }
      return undefined
    },
  },
  {
    words: 'projects',
    args: [],
    summary: 'The projects you are a member of.',
    async run(_input, { api, output }) {
      const { body } = await api.get('/v1/projects')
      const rows = (body as Record<string, string>[]).map(({ ref, name, role, status }) => ({
        ref,
        name,
        role,
        status,
      }))
      output.list(body, rows, 'You are a member of no project.')
      return undefined
    },
  },
  {
    words: 'check',
    args: ['ref'],
    summary: 'Whether you would be let in, test by test.',
    more: `Nothing is opened and nothing is changed. Exit code ${exitCodes.forbidden} where no role would be let in.`,
    options: {
      role: { value: 'role', help: 'This role only; else each that you have a rule for.' },
      address: { value: 'ip', help: 'As if from this address; else the one you come from.' },
    },
    async run({ args: [ref = ''], text }, { api, output }) {
      const role = text('role')
      const rhost = text('address')
      const { body } = await api.ask('POST', `/v1/projects/${segment(ref)}/database/jit/check`, {
        body: { ...(role !== undefined && { role }), ...(rhost !== undefined && { rhost }) },
      })
      const { allowed, results } = body as CheckAnswer
      const rows = results.flatMap((result) =>
        result.checks.map(({ check, passed, reason }) => ({
          role: result.role,
          check,
          passed: passed === null ? 'not tested' : passed,
          reason,
        })),
      )
      output.list(body, rows, 'Nothing was tested.')
      return allowed === false ? exitCodes.forbidden : exitCodes.ok
    },
  },
]

// Who is in right now, and ending it.
import { segment } from '../api-client.ts'
import type { Command } from '../command.ts'
import { timeText } from '../times.ts'

interface Session {
  readonly id: string
  readonly user_id: string
  readonly email: string | null
  readonly role: string
  readonly address: string
  readonly application_name: string | null
  readonly started_at: string
  readonly expires_at: number | null
}

const pathOf = (ref: string): string => `/v1/projects/${segment(ref)}/database/jit/sessions`

export const sessionCommands: readonly Command[] = [
  {
    words: 'sessions list',
    args: ['ref'],
    summary: 'Who is in, as which role, from where.',
    async run({ args: [ref = ''] }, { api, output }) {
      const { body } = await api.get(pathOf(ref))
      const { items } = body as { items: readonly Session[] }
      const rows = items.map((one) => ({
        id: one.id,
        person: one.email ?? one.user_id,
        role: one.role,
        from: one.address,
        program: one.application_name,
        since: one.started_at,
        until: timeText(one.expires_at),
      }))
      output.list(body, rows, 'Nobody is in.')
      return undefined
    },
  },
  {
    words: 'sessions end',
    args: ['ref', 'id'],
    summary: 'Ends one; what it runs is rolled back.',
    async run({ args: [ref = '', id = ''] }, { api, output }) {
      await api.ask('DELETE', `${pathOf(ref)}/${segment(id)}`)
      output.done({ id, ended: true }, `Session ${id} is ended.`)
      return undefined
    },
  },
]

// The operator's part: people, and the first token of each.
import { randomUUID } from 'node:crypto'
import { segment } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import type { Command, OptionSpec } from '../command.ts'
import { newTokenBody, newTokenOptions, showNewToken } from './tokens.ts'

const pathOf = (userId: string): string => `/api/members/${segment(userId)}`

const fields: Readonly<Record<string, OptionSpec>> = {
  email: { value: 'e-mail', help: 'By which servers and lists name the person.' },
  name: { value: 'text', help: 'As people know them.' },
  operator: { value: null, help: 'May make projects and choose where they lead.' },
}

const put = (words: string, args: readonly string[], summary: string): Command => ({
  words,
  args,
  summary,
  options: fields,
  async run({ args: [userId = randomUUID()], text, flag }, { api, output }) {
    const name = text('name')
    if (name === undefined) throw new CliError('usage', '--name is missing')
    const { body } = await api.ask('PUT', pathOf(userId), {
      body: { name, email: text('email') ?? null, ...(flag('operator') && { operator: true }) },
    })
    const { user_id, email, operator } = body as Record<string, string>
    output.one(body, { user_id, name, 'e-mail': email, operator })
    return undefined
  },
})

export const adminCommands: readonly Command[] = [
  put('admin members add', ['user_id?'], 'Makes a person; without a user_id under a new one.'),
  {
    words: 'admin members show',
    args: ['user_id'],
    summary: 'One person.',
    async run({ args: [userId = ''] }, { api, output }) {
      const { body } = await api.get(pathOf(userId))
      const { user_id, name, email, operator, created_at } = body as Record<string, string>
      output.one(body, { user_id, name, 'e-mail': email, operator, since: created_at })
      return undefined
    },
  },
  {
    words: 'admin members remove',
    args: ['user_id'],
    summary: 'Removes a person from everything; who is in is out within a second.',
    async run({ args: [userId = ''] }, { api, output }) {
      await api.ask('DELETE', pathOf(userId))
      output.done({ user_id: userId, removed: true }, `${userId} is removed.`)
      return undefined
    },
  },
  {
    words: 'admin tokens create',
    args: ['user_id', 'name'],
    summary: 'Makes a token for a person, their first for instance, and shows it once.',
    options: newTokenOptions,
    async run(input, context) {
      const [userId = '', name = ''] = input.args
      const body = newTokenBody(name, input, context.nowMs)
      const path = `${pathOf(userId)}/access-tokens`
      showNewToken((await context.api.ask('POST', path, { body })).body, context)
      return undefined
    },
  },
]

// Temporary access of a project: on, off, or why it cannot be.
import { type ApiAnswer, segment } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import type { Command, CommandContext } from '../command.ts'

const pathOf = (ref: string): string => `/v1/projects/${segment(ref)}/jit-access`

function show(ref: string, { body }: ApiAnswer, { output }: CommandContext): void {
  const { state, unavailableReason } = body as { state: string; unavailableReason?: string }
  output.one(body, { project: ref, state, reason: unavailableReason })
}

const setting = (word: 'enable' | 'disable', state: string, summary: string): Command => ({
  words: `access ${word}`,
  args: ['ref'],
  summary,
  async run({ args: [ref = ''] }, context) {
    const answer = await context.api.ask('PUT', pathOf(ref), { body: { state }, allow: [409] })
    if (answer.status === 409) {
      const { message } = answer.body as { message: string }
      throw new CliError('failed', message)
    }
    show(ref, answer, context)
    return undefined
  },
})

export const accessCommands: readonly Command[] = [
  {
    words: 'access status',
    args: ['ref'],
    summary: 'Whether people may come in with tokens, and why not.',
    async run({ args: [ref = ''] }, context) {
      show(ref, await context.api.get(pathOf(ref)), context)
      return undefined
    },
  },
  setting('enable', 'enabled', 'Lets people in by their rules.'),
  setting('disable', 'disabled', 'Lets nobody in, ends who is in; the rules stay.'),
]

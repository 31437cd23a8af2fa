// All commands, in the order of the help.
import type { Command } from './command.ts'
import { accessCommands } from './commands/access.ts'
import { accountCommands } from './commands/account.ts'
import { adminCommands } from './commands/admin.ts'
import { connectCommand } from './commands/connect.ts'
import { eventCommands } from './commands/events.ts'
import { ruleCommands } from './commands/rules.ts'
import { sessionCommands } from './commands/sessions.ts'
import { tokenCommands } from './commands/tokens.ts'

export const commands: readonly Command[] = [
  connectCommand,
  ...accountCommands,
  ...accessCommands,
  ...ruleCommands,
  ...tokenCommands,
  ...sessionCommands,
  ...eventCommands,
  ...adminCommands,
]

// The console's language: text in, a command to be carried out. Who may speak to it and over which
// protocol is client/admin-session.ts.
import type { Clock } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import { refused } from '../pool/command-refusal.ts'
import { type AdminCommand, columnsOf } from './admin-answer.ts'
import type { AdminControl, AdminView } from './admin-view.ts'
import { readWords } from './command-text.ts'
import { controlVerbs } from './control-commands.ts'
import { setupTables } from './show-setup.ts'
import type { ShowTable } from './show-table.ts'
import { trafficTables } from './show-traffic.ts'

export interface AdminConsoleOptions {
  readonly view: AdminView
  readonly control: AdminControl
  readonly clock: Clock
  /** Called before a command that changes something is carried out; `command` is its verb and targets. */
  readonly onCommand: (user: AdminUser, command: string) => void
}

export interface AdminUser {
  readonly name: string
  /** False: SHOW only. */
  readonly mayControl: boolean
  readonly address: string
}

const showTables: Readonly<Record<string, ShowTable>> = { ...trafficTables, ...setupTables }

export class AdminConsole {
  readonly #options: AdminConsoleOptions

  constructor(options: AdminConsoleOptions) {
    this.#options = options
  }

  /** null: the text holds no command. Throws EADMINCOMMAND, EADMINDENIED. */
  prepare(text: string, user: AdminUser): AdminCommand | null {
    const words = readWords(text)
    const [first, ...rest] = words
    if (first === undefined) return null
    const verb = first.text.toLowerCase()
    if (!first.isQuoted && verb === 'show') return this.#show(rest.map((word) => word.text))
    const control =
      first.isQuoted || !Object.hasOwn(controlVerbs, verb) ? undefined : controlVerbs[verb]
    if (control === undefined) throw refused(`there is no command ${JSON.stringify(first.text)}`)
    if (!user.mayControl) {
      throw new PoolerError('EADMINDENIED', { values: { user: user.name } })
    }
    const run = control.prepare(rest, this.#options.control, this.#options.clock)
    return {
      columns: null,
      run: (isGone) => {
        this.#options.onCommand(user, [verb, ...rest.map((word) => word.text)].join(' '))
        return run(isGone)
      },
    }
  }

  #show(words: readonly string[]): AdminCommand {
    const name = words.join('_').toLowerCase()
    if (name === 'help' || name === '') return help
    const table = Object.hasOwn(showTables, name) ? showTables[name] : undefined
    if (table === undefined) throw refused(`there is no SHOW ${words.join(' ')}`)
    const { view } = this.#options
    return {
      columns: table.columns,
      run: async () => {
        const { facts, lack } = await view.read(table.needs)
        return { rows: table.rows(facts, view), notice: lack, tag: 'SHOW' }
      },
    }
  }
}

const help: AdminCommand = {
  columns: columnsOf('command what'),
  run: () => ({
    rows: [
      ...Object.entries(showTables).map(([name, table]) => [
        `SHOW ${name.toUpperCase()}`,
        table.help,
      ]),
      ...Object.values(controlVerbs).map((verb) => [verb.usage, verb.help]),
      ['target', 'a project (ref), a role of it (role.ref), or that in one database (role.ref/db)'],
    ],
    notice: null,
    tag: 'SHOW',
  }),
}

// A command as the command line knows it: its words, what it takes, what it does.
import type { ApiClient } from './api-client.ts'
import type { Credentials } from './credentials.ts'
import type { Output } from './output.ts'

export interface OptionSpec {
  /** Stands for the value in the help; null: the option takes none. */
  readonly value: string | null
  readonly help: string
  readonly isRepeated?: boolean
}

export interface CommandInput {
  /** In the order of `args`; those that may be left out may be missing. */
  readonly args: readonly string[]
  /** Whatever stands behind `--`. */
  readonly rest: readonly string[]
  text(option: string): string | undefined
  texts(option: string): readonly string[]
  flag(option: string): boolean
}

export interface CommandContext {
  readonly api: ApiClient
  readonly credentials: Credentials
  readonly output: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly nowMs: number
  readonly ignoreInterrupts: () => void
}

export interface Command {
  /** `rules add`. */
  readonly words: string
  /** `ref`, or `role?` for one that may be left out. */
  readonly args: readonly string[]
  readonly summary: string
  /** More of it, for the command's own help. */
  readonly more?: string
  readonly options?: Readonly<Record<string, OptionSpec>>
  /** Further arguments behind `--` are for a program. */
  readonly takesRest?: boolean
  /** The exit code, where it is not 0. */
  run(input: CommandInput, context: CommandContext): Promise<number | undefined>
}

// What went wrong, for a person, and the exit code by which a script tells one from another.

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unauthorized: 3,
  forbidden: 4,
  notFound: 5,
  unreachable: 6,
} as const

export type CliFailure = Exclude<keyof typeof exitCodes, 'ok'>

export class CliError extends Error {
  override readonly name = 'CliError'
  readonly failure: CliFailure
  /** What to do about it; null: the message says it. */
  readonly hint: string | null

  constructor(failure: CliFailure, message: string, hint: string | null = null) {
    super(message)
    this.failure = failure
    this.hint = hint
  }
}

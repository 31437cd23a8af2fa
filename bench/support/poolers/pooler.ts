// What this run needs to know of another pooler: how it is found, and how it is set up fairly:
// transaction mode, the same number of servers, SCRAM on both sides, named statements where it has
// them, no log of connections, one process or thread.
import type { Address } from '../address.ts'
import type { Lacks } from '../target.ts'

export interface Role {
  readonly name: string
  readonly password: string
  /** What Postgres has stored of the password. */
  readonly verifier: string
}

/** Where a pooler is to run, and before what. */
export interface Site {
  /** Empty where the program did not tell. */
  readonly version: string
  /** Where clients are to find it. */
  readonly port: number
  /** For a console or the like of its own. */
  readonly otherPort: number
  /** For what it writes. */
  readonly folder: string
  readonly upstream: Address
  readonly poolSize: number
  /** Who may log in. */
  readonly roles: readonly Role[]
  readonly certificateFile: string
  readonly keyFile: string
  /** The most clients for a pooler that gives each of them a server of its own. */
  readonly serversMax: number
  /** The path that one of the pooler's files will have. */
  file(name: string): string
}

export interface Setup {
  readonly files: Readonly<Record<string, string>>
  readonly args: readonly string[]
  /** The lines that decide the comparison; they are printed, and kept with the figures. */
  readonly settings: Readonly<Record<string, string>>
  readonly lacks?: Lacks
  readonly clientsMax?: number
  readonly hasSharedMemory?: boolean
}

export interface Pooler {
  readonly name: string
  /** Looked for on PATH. */
  readonly program: string
  /** The variable that names another file. */
  readonly setting: string
  /** Of what `--version` says, the version in the first group. */
  readonly versionPattern: RegExp
  setup(site: Site): Setup
}

/** A line for each setting, and none behind the last. */
export const linesOf = (
  settings: Readonly<Record<string, string>>,
  form: (name: string, value: string) => string,
): string =>
  Object.entries(settings)
    .map(([name, value]) => form(name, value))
    .join('\n')

import type { StopMode } from '../../pooler/embedded/server-process.ts'
import type { ServerUser } from '../../pooler/embedded/server-user.ts'
import type { Address } from './address.ts'

/** Where the server comes from. */
export interface PostgresSource {
  /** Whom programs can be run as that refuse root. */
  readonly user: ServerUser
  /** A role that may make databases and roles. */
  readonly admin: Address
  readonly isGiven: boolean
  /** The postmaster, whose children are the backends; null: not ours to look at. */
  pid(): number | null
  /** On the same port; null: not ours to restart. */
  readonly restart: ((mode: StopMode) => Promise<void>) | null
  stop(): Promise<void>
}

/** What figures hang on: an embedded server is started so, of a given one the values are told. */
export const decidingSettings = {
  max_connections: '1300',
  shared_buffers: '128MB',
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
}

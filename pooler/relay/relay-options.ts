import type { Clock } from '../../shared/clock.ts'
import type { ErrorCode } from '../../shared/error-catalogue.ts'
import type { PoolerError } from '../../shared/errors.ts'
import type { ClientId } from '../../shared/ids.ts'
import type { Attribution } from './attribution.ts'
import type { StatementOptions } from './client-statements.ts'
import type { Lane } from './lanes.ts'
import type { NotificationSource } from './notification-source.ts'
import type { PersonWitness } from './person-witness.ts'
import type { PinReason } from './pin-reasons.ts'
import type { SchemaVersion } from './schema-version.ts'
import type { SequenceUse } from './sequence-values.ts'
import type { ServerSource } from './server-source.ts'
import type { SettingsProfile } from './session-settings.ts'
import type { StatementCounters } from './statement-supply.ts'
import type { Transport } from './transport.ts'

/** How a client's connection ended; an ErrorCode where we ended it. */
export type RelayEnd = 'terminate' | 'lost' | 'server-lost' | 'refused' | PoolerError

export interface RelayCounters extends StatementCounters {
  bytesFromClients: number
  bytesToClients: number
  notifications: number
  readonly pins: { count(reason: PinReason): void }
}

export interface NotificationOptions {
  readonly source: NotificationSource
  /** Bytes of notifications that may wait for one client. */
  readonly queueBytesMax: number
}

export interface RelayOptions {
  readonly clientId: ClientId
  readonly person: string | null
  readonly attribution: Attribution
  /** null for an application. */
  readonly witness: PersonWitness | null
  readonly mode: 'transaction' | 'session'
  readonly transport: Transport
  /** Of its project. */
  readonly lane: Lane
  /** null in session mode: a client's statements are its server's. */
  readonly statements: StatementOptions | null
  /** Of its database. */
  readonly schema: SchemaVersion
  readonly sequences: SequenceUse
  /** After which transactions a shared server is asked what they left on it. */
  readonly stateCheck: 'suspect' | 'always'
  /** null in session mode: a client listens on its own server. */
  readonly notifications: NotificationOptions | null
  readonly source: ServerSource
  readonly counters: RelayCounters
  readonly clock: Clock
  /** What the client asked for at startup and was told at login. */
  readonly profile: SettingsProfile
  /** settingKey to value of the settings that the client's startup packet named. */
  readonly startup: ReadonlyMap<string, string>
  /** Time of the last coarse tick; read instead of the clock on the hot path. */
  readonly ticker: { readonly nowMs: number }
  /** Logs a bug of ours and says how the client is to be told. */
  readonly onFault: (error: unknown) => PoolerError
  /** An error of ours that the client goes on behind; those that end it come with `onEnded`. */
  readonly onTold: (code: ErrorCode) => void
  readonly onEnded: (end: RelayEnd) => void
}

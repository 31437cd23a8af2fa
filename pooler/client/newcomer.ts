// An accepted socket with what is known of it before its first byte of Postgres' protocol.
import type { Socket } from 'node:net'
import type { ListenerMode } from '../startup/identify-tenant.ts'

export interface Newcomer {
  readonly socket: Socket
  readonly mode: ListenerMode
  /** The client's address, normalised: the socket's, or the one in the PROXY header. */
  readonly address: string
  /** A PROXY header came: whoever sent it, the client itself is somewhere else. */
  readonly isProxied: boolean
  /** Bytes that came behind the header. */
  readonly firstBytes: Buffer
  /** Monotonic ms. */
  readonly acceptedMs: number
}

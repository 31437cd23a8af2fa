import type { Moves } from '../../shared/state-machine.ts'

/**
 * A server after login.
 * - idle: clean, in the pool's hands
 * - joined: a client holds it
 * - working: the pool itself talks to it (reset, rollback, check of life)
 * - settling: clean, but a cancel connection for it has not closed yet
 * - closing: Terminate sent, its end of the connection still open
 * - closed: its slot is free
 */
export type ServerState = 'idle' | 'joined' | 'working' | 'settling' | 'closing' | 'closed'

export const serverMoves: Moves<ServerState> = {
  idle: ['joined', 'working', 'closing'],
  joined: ['idle', 'working', 'settling', 'closing'],
  working: ['idle', 'settling', 'closing'],
  settling: ['idle', 'closing'],
  closing: ['closed'],
  closed: [],
}

/**
 * A client after login.
 * - idle: holds no server (transaction mode only)
 * - waiting: asked for one
 * - joined: holds one
 * - finishing: said Terminate while something it had sent was still being answered
 * - ended: gone, or being told why
 */
export type ClientState = 'idle' | 'waiting' | 'joined' | 'finishing' | 'ended'

/** Legal moves. */
export const clientMoves: Readonly<Record<ClientState, readonly ClientState[]>> = {
  idle: ['waiting', 'joined', 'ended'],
  waiting: ['idle', 'joined', 'ended'],
  joined: ['idle', 'finishing', 'ended'],
  finishing: ['ended'],
  ended: [],
}

// What is recorded of a person while their client is in: the servers it holds, and statements that
// could make temporary access permanent. The relay tells it; what becomes of it is not the relay's.

/** Whose a server is or was; lives on the server until somebody else has had it. */
export interface ServerHold {
  readonly sessionId: string
}

/** Command tags of statements on roles. */
export type RoleTag = 'CREATE ROLE' | 'ALTER ROLE' | 'GRANT ROLE'

export interface PersonWitness {
  /** The person has the server whose backend this is; `last` is what was left there before. */
  hold(serverProcessId: number, last: ServerHold | null): ServerHold
  release(hold: ServerHold): void
  onRoleStatement(tag: RoleTag): void
}

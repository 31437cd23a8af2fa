/** Servers of equal keys are interchangeable. */
export interface PoolKey {
  readonly tenantRef: string
  readonly role: string
  readonly database: string
  readonly mode: PoolMode
  /** Whose token these servers are opened with, as a name of it; left out: the project's own secret. */
  readonly tokenName?: string
}

/** direct: one server for one client for its life; nobody else ever has it. */
export type PoolMode = 'transaction' | 'session' | 'direct'

/** One text per key; NUL stands in no name. */
export const poolKeyText = (key: PoolKey): string =>
  [key.tenantRef, key.role, key.database, key.mode, key.tokenName ?? ''].join('\0')

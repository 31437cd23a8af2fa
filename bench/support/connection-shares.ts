export interface ConnectionNeeds {
  /** What Postgres has left. */
  readonly free: number
  readonly poolSize: number
  /** Poolers with a pool of that size each. */
  readonly pools: number
  /** Of the run itself. */
  readonly own: number
}

/**
 * What Postgres' connections suffice for: each pool in full at all times, and, for those that give each
 * client a server of its own, half of the rest (one that rests keeps its servers while another is asked).
 */
export function connectionShares({ free, poolSize, pools, own }: ConnectionNeeds): {
  readonly serversMax: number
} {
  const left = free - pools * poolSize - own
  if (left < 2) {
    throw new Error(
      `Postgres has ${free} connections left, and ${pools} pools of ${poolSize} servers and ${own} for the run itself need more: raise its max_connections, or give a smaller --pool-size`,
    )
  }
  return { serversMax: Math.floor(left / 2) }
}

/** A broken invariant: a bug of ours. The pair of connections that met it is closed and counted. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** Throws InvariantError when `isTrue` is not; never used for what a peer or an operator may cause. */
export function assert(isTrue: boolean, claim: string): asserts isTrue {
  if (!isTrue) throw new InvariantError(claim)
}

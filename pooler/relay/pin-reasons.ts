// Why a client in transaction mode keeps its server beyond its transaction.
import { heldStates } from './session-question.ts'

export const pinReasons = [
  'large statement',
  'loaded library',
  'sequence value',
  'listening',
  'unanswered question',
  ...heldStates,
] as const
export type PinReason = (typeof pinReasons)[number]

/** Until DISCARD ALL: nothing else is known to undo them. */
export const lastingPins: ReadonlySet<PinReason> = new Set([
  'large statement',
  'loaded library',
  'large setting',
])

// What a pump does with the message whose header it has just read.

/** Its bytes go on to the other side. */
export const forward = 0
/** Its bytes are swallowed. */
export const drop = 1
/** It cannot go on yet: the pump stops in front of it and gives back what it has not passed. */
export const hold = 2

export type Verdict = typeof forward | typeof drop | typeof hold

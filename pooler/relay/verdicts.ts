// What a pump does with the message whose header it has just read.

/** Its bytes go on to the other side. */
export const forward = 0
/** Its bytes are swallowed. */
export const drop = 1
/** It cannot go on yet: the pump stops in front of it and gives back what it has not passed. */
export const hold = 2

/** It must be looked at further in than it has come: the pump collects it, `need` says how far. */
export const collect = 3
/** It goes on behind other first bytes: what `replace` was given stands for header and prefix. */
export const rewrite = 4

export type Verdict = typeof forward | typeof drop | typeof hold | typeof collect | typeof rewrite

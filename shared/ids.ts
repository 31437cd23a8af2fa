import { randomBytes, randomInt } from 'node:crypto'

declare const brand: unique symbol
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name }

/** Numbers a client connection within this process; never mixed up with a server's. */
export type ClientId = Branded<number, 'ClientId'>
/** Numbers a server connection within this process. */
export type ServerId = Branded<number, 'ServerId'>

let lastClient = 0
let lastServer = 0
let step = 1

/** Before the first id of this process: those of `of` workers are then different from each other. */
export function shareIds({ slot, of }: { readonly slot: number; readonly of: number }): void {
  lastClient = slot + 1 - of
  lastServer = lastClient
  step = of
}

export function nextClientId(): ClientId {
  lastClient += step
  return lastClient as ClientId
}

export function nextServerId(): ServerId {
  lastServer += step
  return lastServer as ServerId
}

/** Ten random bytes in hex: names one refusal, session or fault in answers, log and record alike. */
export const newReportId = (): string => randomBytes(10).toString('hex')

/** The ref of a project that is made here: 20 letters, good as a DNS label. */
export const newProjectRef = (): string =>
  Array.from({ length: 20 }, () => String.fromCharCode(97 + randomInt(26))).join('')

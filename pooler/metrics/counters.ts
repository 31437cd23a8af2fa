// What the data plane counts as it goes: plain numbers on objects, read only when somebody scrapes.
// How they are named and labelled is pool-metrics.ts.
import type { ErrorCode } from '../../shared/error-catalogue.ts'
import type { PinReason } from '../relay/pin-reasons.ts'
import { Histogram } from './histogram.ts'
import { Tally } from './tally.ts'

/** Of all pools that one set of labels stands for. */
export class PoolCounters {
  transactions = 0
  queries = 0
  bytesFromClients = 0
  bytesToClients = 0
  /** Told to clients in transaction mode. */
  notifications = 0
  /** Uses of named statements in transaction mode: the server had the text, or had to be sent it. */
  statementHits = 0
  statementMisses = 0
  statementEvictions = 0
  statementRepairs = 0
  /** Servers that stayed with their client when its transaction was over, by reason. */
  readonly pins = new Tally<PinReason>()
  serversOpened = 0
  serverOpenFailures = 0
  readonly serversClosedByReason = new Tally()
  /** From a client's asking for a server to its having one. */
  readonly checkouts = new Histogram()
}

/** One project's: what happens where no pool is yet, or to all of them. */
export class TenantCounters {
  readonly errors = new Tally<ErrorCode>()
  /** Logins refused, by precise reason. */
  readonly refusals = new Tally()
  /** After login, by how their connection ended. */
  readonly clientsLeft = new Tally()
  /** Sessions of people whose access was taken away or over, by why. */
  readonly accessEnds = new Tally()
}

/** This process's: what belongs to no project that is known. */
export class ProcessCounters extends TenantCounters {
  /** From accept to AuthenticationOk, by method. */
  readonly logins: Readonly<Record<LoginMethod, Histogram>> = {
    'scram-sha-256': new Histogram(),
    'scram-sha-256-plus': new Histogram(),
    password: new Histogram(),
    token: new Histogram(),
  }
}

/** How long it took to decide on a token; `undecided`: it could not be. */
export class DecisionTimes {
  readonly allowed = new Histogram()
  readonly refused = new Histogram()
  readonly undecided = new Histogram()
}

export type LoginMethod = 'scram-sha-256' | 'scram-sha-256-plus' | 'password' | 'token'

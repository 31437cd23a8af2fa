// What the primary and its workers tell each other, as plain data: it crosses a process as JSON.
import type { FactName, PoolAct, ShutdownWay } from '../admin/admin-view.ts'
import type { WorkerFacts } from '../admin/merged-facts.ts'
import type { SessionView } from '../api/api-deps.ts'
import type { ToldCounts } from '../client/client-counts.ts'
import type { WorkerText } from '../metrics/merged-metrics.ts'
import type { HeldBack, HoldChange } from '../pool/pool-holds.ts'
import type { FiguresHere } from '../project-figures-of.ts'
import type { PermitOrder, PermitReport } from './permit-messages.ts'

/** What workers ask of each other: what is asked, and what one of them answers. */
export interface Calls {
  readonly reload: { readonly asked: null; readonly answer: null }
  /** True where the key was known; then the cancel has gone through. */
  readonly cancel: {
    readonly asked: { readonly processId: number; readonly secret: string }
    readonly answer: boolean
  }
  /** A wrong secret: every worker counts it. */
  readonly wrong: {
    readonly asked: {
      /** Whose secret; null: an operator's. */
      readonly ref: string | null
      readonly source: string
    }
    readonly answer: null
  }
  /** The text of one worker; null: of all projects. */
  readonly metrics: {
    readonly asked: { readonly ref: string | null }
    readonly answer: WorkerText
  }
  /** People who are in. */
  readonly sessions: {
    readonly asked: { readonly ref: string }
    readonly answer: readonly SessionView[]
  }
  /** Of one project, for its live figures. */
  readonly figures: { readonly asked: { readonly ref: string }; readonly answer: FiguresHere }
  readonly lift: {
    readonly asked: { readonly ref: string; readonly sources: readonly string[] | null }
    readonly answer: null
  }
  readonly terminate: {
    readonly asked: { readonly ref: string; readonly reason: string }
    readonly answer: null
  }
  /** For the console: what this worker has, without rows beyond what one message should carry. */
  readonly facts: {
    readonly asked: { readonly names: readonly FactName[] }
    readonly answer: WorkerFacts & { readonly rowsLeftOut: number }
  }
  readonly act: { readonly asked: PoolAct; readonly answer: boolean }
  /** All that operators hold back from here on. */
  readonly held: { readonly asked: HeldBack; readonly answer: null }
  /** Clients of the sender have changed the schemas of these databases. */
  readonly schemas: {
    readonly asked: {
      readonly changed: readonly (readonly [ref: string, database: string])[]
    }
    readonly answer: null
  }
  /** Clients of the projects where they have changed, and connections in all. */
  readonly clients: {
    readonly asked: {
      readonly connections: number
      readonly tenants: readonly (readonly [ref: string, counts: ToldCounts])[]
    }
    readonly answer: null
  }
}

export type CallName = keyof Calls
export type Asked<Name extends CallName> = Calls[Name]['asked']
export type AnswerOf<Name extends CallName> = Calls[Name]['answer']

/** One question to all others. */
export interface Call {
  readonly name: CallName
  readonly asked: unknown
  /** After that who has not answered is left out; null: nobody waits for answers. */
  readonly withinMs: number | null
}

export interface Answer {
  readonly worker: number
  readonly answer: unknown
  /** In words for an operator; null: it went well. */
  readonly fault: string | null
}

export interface Answers {
  readonly all: readonly Answer[]
  /** Workers that did not answer in time. */
  readonly missing: number
}

/** Where a worker stands among the others. */
export interface Place {
  /** Never used again while the primary lives. */
  readonly worker: number
  /** 0 to `of` - 1; the one that comes for a worker that died has the same. */
  readonly slot: number
  readonly of: number
}

export interface OpenPorts {
  readonly transaction: number
  readonly session: number
  readonly apiUrl: string
}

/** How a worker is to end. */
export type Parting = ShutdownWay | 'drain' | 'hand over'

export type ToPrimary =
  | { readonly kind: 'hello'; readonly version: string }
  | { readonly kind: 'ready'; readonly ports: OpenPorts }
  | { readonly kind: 'failed'; readonly text: string }
  | { readonly kind: 'permits'; readonly report: PermitReport }
  /** `id` is null where nobody waits. */
  | { readonly kind: 'call'; readonly id: number | null; readonly call: Call }
  /** The primary decides on it and has all workers adopt it; answered like a call. */
  | { readonly kind: 'hold'; readonly id: number; readonly change: HoldChange }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Omit<Answer, 'worker'> }
  | { readonly kind: 'shutdown'; readonly how: ShutdownWay }

export type ToWorker =
  | {
      readonly kind: 'start'
      readonly env: Readonly<Record<string, string | undefined>>
      readonly place: Place
      readonly held: HeldBack
    }
  | { readonly kind: 'order'; readonly order: PermitOrder }
  | {
      readonly kind: 'call'
      readonly id: number | null
      readonly from: number
      readonly call: Call
    }
  | { readonly kind: 'answers'; readonly id: number; readonly answers: Answers }
  | { readonly kind: 'joined'; readonly worker: number }
  | { readonly kind: 'left'; readonly worker: number }
  | { readonly kind: 'stop'; readonly how: Parting }

// What an operator did to a project and when it may have held: what a client is told is explained by it,
// or is wrong. Times are those of this process, which the pooler is part of.

const now = (): number => performance.now()

export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

const overlaps = (one: Span, other: Span): boolean =>
  one.fromMs <= other.toMs && other.fromMs <= one.toMs

/** A fact of the project that is replaced by others: from its request on until its successor is known to be in force. */
export class Timeline<Value> {
  readonly #entries: { readonly value: Value; readonly fromMs: number; toMs: number }[]

  constructor(first: Value) {
    this.#entries = [{ value: first, fromMs: 0, toMs: Number.POSITIVE_INFINITY }]
  }

  /** As asked for last. */
  get last(): Value {
    return (this.#entries.at(-1) as { value: Value }).value
  }

  /** In front of the request. */
  begin(value: Value): void {
    this.#entries.push({ value, fromMs: now(), toMs: Number.POSITIVE_INFINITY })
  }

  /** What was asked for last is in force, and nothing else any more. */
  confirm(): void {
    for (const entry of this.#entries.slice(0, -1)) entry.toMs = Math.min(entry.toMs, now())
  }

  during(span: Span): Value[] {
    return this.#entries.filter((entry) => overlaps(entry, span)).map(({ value }) => value)
  }
}

export type DeedKind =
  | 'deleted'
  | 'banned'
  /** By the console's KILL. */
  | 'killed'
  /** By the API. */
  | 'terminated'
  /** The pooler's password of a role may not be the database's. */
  | 'mismatch'
  /** The pooler's password of a role may be one or the other. */
  | 'rotating'
  /** The pooler's password of the manager may not be the database's. */
  | 'manager'
  /** A server was terminated in Postgres. */
  | 'server killed'

/** They end whoever is in. */
const endings: readonly DeedKind[] = ['deleted', 'banned', 'killed', 'terminated']

interface Deed extends Span {
  readonly kind: DeedKind
  /** null: of all. */
  readonly role: string | null
  /** Of a killed server. */
  readonly server: string | null
}

/** Whoever is told something on account of a deed may have been on the way to it when it ended. */
const graceMs = 1000

export class MovingLedger {
  readonly #deeds: (Deed & { toMs: number })[] = []
  readonly journal: string[] = []

  note(text: string): void {
    this.journal.push(`${Math.round(now())} ${text}`)
  }

  /** Lasts until what it returns is called; `hasGrace`: and for a moment longer. */
  begin(
    kind: DeedKind,
    role: string | null = null,
    server: string | null = null,
  ): (hasGrace?: boolean) => void {
    const deed = { kind, role, server, fromMs: now(), toMs: Number.POSITIVE_INFINITY }
    this.#deeds.push(deed)
    return (hasGrace = false) => {
      deed.toMs = now() + (hasGrace ? graceMs : 0)
    }
  }

  /** `role` null: to any. */
  has(kind: DeedKind, span: Span, role: string | null, server: string | null = null): boolean {
    return this.#deeds.some(
      (deed) =>
        deed.kind === kind &&
        overlaps(deed, span) &&
        (deed.role === null || role === null || deed.role === role) &&
        (server === null || deed.server === null || deed.server === server),
    )
  }

  /** What should have ended a client that was in since `fromMs`, before `toMs`; null: nothing has. */
  endingBetween({ fromMs, toMs }: Span): DeedKind | null {
    const found = this.#deeds.find(
      (deed) => endings.includes(deed.kind) && deed.fromMs > fromMs && deed.toMs < toMs,
    )
    return found?.kind ?? null
  }
}

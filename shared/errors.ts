// The error that ends at most one connection: a row of the catalogue, with its blanks filled in.
import { type CatalogueRow, catalogue, type ErrorCode } from './error-catalogue.ts'

export type ErrorValues = Readonly<Record<string, string | number>>

export interface PoolerErrorOptions {
  /** Fills the `{name}` places of the row's text. */
  readonly values?: ErrorValues
  /** What helps the person who reads it; never a secret, never why a token was refused. */
  readonly detail?: string
  /** Replaces the row's hint where more is known. */
  readonly hint?: string
  readonly cause?: unknown
}

/** An operating error: answered, counted, logged; it ends at most one connection. */
export class PoolerError extends Error {
  override readonly name = 'PoolerError'
  readonly code: ErrorCode
  readonly detail: string | null
  readonly hint: string | null

  constructor(code: ErrorCode, options: PoolerErrorOptions = {}) {
    const text = fillText(catalogue[code].text, options.values ?? {})
    super(text, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.detail = options.detail ?? null
    this.hint = options.hint ?? catalogue[code].hint
  }

  get row(): CatalogueRow {
    return catalogue[this.code]
  }

  /** The text that a Postgres client sees. A wrong password reads as Postgres' own, without code. */
  get wireText(): string {
    return this.code === 'EWRONGPASSWORD' ? this.message : `(${this.code}) ${this.message}`
  }
}

function fillText(text: string, values: ErrorValues): string {
  return text.replace(/\{(\w+)\}/g, (_place, name: string) => String(values[name] ?? '?'))
}

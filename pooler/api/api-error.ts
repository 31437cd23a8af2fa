// What the HTTP side answers when it does not do as asked. Errors that the catalogue knows
// (shared/errors.ts) arrive as PoolerError and need none of these.

export interface ApiErrorParts {
  /** Stands beside `message` in the answer. */
  readonly body?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer with a status below 500; the message is for the caller and never names a secret. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly statusCode: number
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(statusCode: number, message: string, parts: ApiErrorParts = {}) {
    super(message)
    this.statusCode = statusCode
    this.body = parts.body ?? {}
    this.headers = parts.headers ?? {}
  }
}

export const badRequest = (message: string): ApiError => new ApiError(400, message)
export const notFound = (message: string): ApiError => new ApiError(404, message)
export const conflict = (message: string): ApiError => new ApiError(409, message)

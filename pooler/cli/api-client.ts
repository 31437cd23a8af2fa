// Talks to the API for one run: a bearer, JSON both ways, and its refusals as errors with exit codes.
import type { Secret } from '../../shared/secret.ts'
import { CliError, type CliFailure } from './cli-error.ts'
import { clean } from './output.ts'

export interface ApiAnswer {
  readonly status: number
  readonly etag: string | null
  readonly body: unknown
}

export interface ApiRequest {
  readonly body?: unknown
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly ifMatch?: string | null
  /** Statuses that are an answer and no error. */
  readonly allow?: readonly number[]
}

export interface ApiClientOptions {
  /** `http://127.0.0.1:4000`. */
  readonly url: string
  readonly token: () => Promise<Secret<string>>
  readonly operatorJwt: () => Promise<Secret<string>>
}

const answerMsMax = 30_000

export class ApiClient {
  readonly #options: ApiClientOptions
  readonly #base: URL

  /** Throws for an address that a token must not be sent to. */
  constructor(options: ApiClientOptions) {
    this.#options = options
    this.#base = baseOf(options.url)
  }

  get(path: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    return this.ask('GET', path, request)
  }

  async ask(method: string, path: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    const answer = await this.#fetch(method, path, request, AbortSignal.timeout(answerMsMax))
    const text = await answer.text()
    const body = jsonOf(text)
    if (!answer.ok && request.allow?.includes(answer.status) !== true) {
      throw refusalOf(answer.status, body)
    }
    return { status: answer.status, etag: answer.headers.get('etag'), body }
  }

  /** A long answer as it comes. */
  async *stream(path: string, query: ApiRequest['query']): AsyncGenerator<string> {
    const answer = await this.#fetch('GET', path, { ...(query && { query }) }, undefined)
    if (!answer.ok) throw refusalOf(answer.status, jsonOf(await answer.text()))
    const decoder = new TextDecoder()
    try {
      for await (const chunk of answer.body ?? []) yield decoder.decode(chunk, { stream: true })
    } catch (cause) {
      throw unreachable(this.#base, cause)
    }
    yield decoder.decode()
  }

  async #fetch(
    method: string,
    path: string,
    { body, query = {}, ifMatch }: ApiRequest,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const { token, operatorJwt } = this.#options
    const bearer = await (path.startsWith('/api/') ? operatorJwt() : token())
    const url = new URL(path, this.#base)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, value)
    }
    try {
      return await fetch(url, {
        method,
        redirect: 'error',
        headers: {
          authorization: `Bearer ${bearer.reveal()}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(ifMatch != null && { 'if-match': ifMatch }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal !== undefined && { signal }),
      })
    } catch (cause) {
      throw unreachable(this.#base, cause)
    }
  }
}

/** A part of a path that somebody typed. */
export const segment = (text: string): string => encodeURIComponent(text)

function baseOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new CliError(
      'usage',
      `${clean(text)} is no address of an API`,
      'like https://pooler.example.com:4000',
    )
  }
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:' && !isLoopback) {
    throw new CliError(
      'usage',
      `${url.origin} would carry the token in clear`,
      'use https, or a tunnel to loopback',
    )
  }
  return url
}

function jsonOf(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

const failureOf: Readonly<Record<number, CliFailure>> = {
  400: 'usage',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'notFound',
  406: 'forbidden',
  422: 'usage',
}

const hintOf: Readonly<Record<number, string>> = {
  401: 'the token is unknown, revoked or expired: set another with LATCHKEY_TOKEN',
  412: 'somebody changed it meanwhile: look again, then repeat the command',
  429: 'too many requests: wait a minute',
}

function refusalOf(status: number, body: unknown): CliError {
  const { message, error, missing_permissions: missing } = (body ?? {}) as Record<string, unknown>
  const text = [message, error].find((one) => typeof one === 'string') ?? `status ${status}`
  const failure = failureOf[status] ?? (status >= 500 ? 'unreachable' : 'failed')
  const needs = Array.isArray(missing) ? `it needs ${missing.join(', ')}` : null
  const isOperators = status === 403 && body === null
  const hint = isOperators
    ? 'the operator’s JWT was not accepted'
    : (needs ?? hintOf[status] ?? null)
  return new CliError(failure, clean(String(text)), hint)
}

function unreachable(base: URL, cause: unknown): CliError {
  const reason = cause instanceof Error ? (cause.cause ?? cause) : cause
  const code = (reason as { code?: unknown; message?: unknown } | null) ?? {}
  const text = String(code.code ?? code.message ?? reason)
  return new CliError(
    'unreachable',
    `${base.origin} does not answer: ${text}`,
    'is Latchkey running there? --api or LATCHKEY_API names another address',
  )
}

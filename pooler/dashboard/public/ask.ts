// Calls of the API with the browser's cookie. No token is ever held here beyond the one call that
// signs in.

/** What the API refused, in its own words. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure'
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>

  constructor(status: number, message: string, body: Readonly<Record<string, unknown>>) {
    super(message)
    this.status = status
    this.body = body
  }
}

export interface Answer<Body> {
  readonly body: Body
  readonly etag: string | null
}

export interface AskOptions {
  readonly body?: unknown
  readonly ifMatch?: string | null
  /** The page asks by itself: this keeps no session from ending. */
  readonly isBackground?: boolean
}

const signedOutListeners = new Set<() => void>()

/** Called whenever an answer says that there is no session any more. */
export function onSignedOut(listener: () => void): () => void {
  signedOutListeners.add(listener)
  return () => signedOutListeners.delete(listener)
}

/** Throws ApiFailure; status 0 where there was no answer at all. */
export async function ask<Body = unknown>(
  method: string,
  path: string,
  { body, ifMatch, isBackground = false }: AskOptions = {},
): Promise<Answer<Body>> {
  const answer = await send(path, {
    method,
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(ifMatch != null && { 'if-match': ifMatch }),
      ...(isBackground && { 'latchkey-background': '1' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const content = parse(await answer.text())
  if (answer.ok) return { body: content as Body, etag: answer.headers.get('etag') }
  if (answer.status === 401 && path.startsWith('/v1/')) {
    for (const listener of signedOutListeners) listener()
  }
  const parts = (content ?? {}) as Record<string, unknown>
  const message = typeof parts.message === 'string' ? parts.message : `HTTP ${answer.status}`
  throw new ApiFailure(answer.status, message, parts)
}

export const projectApi = (ref: string, rest = ''): string =>
  `/v1/projects/${encodeURIComponent(ref)}${rest}`

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init)
  } catch {
    throw new ApiFailure(0, 'Latchkey cannot be reached right now. Is your connection up?', {})
  }
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

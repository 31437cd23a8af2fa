// `npm run token`: asks the running demo for a new token of its owner, with the operator's key that
// the installation keeps.
import { SignJWT } from 'jose'
import type { Installation } from './installation.ts'
import { StartError } from './start-error.ts'

const lifetime = '1 minute'
const timeoutMs = 10_000

/** Returns the token. Throws StartError, one line. */
export async function newDemoToken(installation: Installation, apiUrl: string): Promise<string> {
  const key = Buffer.from(installation.apiJwtSecret.reveal())
  const jwt = await new SignJWT({ role: 'operator' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuedAt()
    .setExpirationTime(lifetime)
    .sign(key)
  const url = `${apiUrl}/api/members/${installation.ownerId}/access-tokens`
  const answer = await ask(url, jwt)
  const body = (await answer.json().catch(() => null)) as { token?: unknown } | null
  if (answer.ok && typeof body?.token === 'string') return body.token
  throw new StartError(`no token was made: ${url} answered ${answer.status}`)
}

async function ask(url: string, jwt: string): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${jwt}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `npm run token, ${new Date().toISOString()}` }),
      signal: AbortSignal.timeout(timeoutMs),
    })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StartError(`${url} does not answer (${reason}): is Latchkey running? npm start`)
  }
}

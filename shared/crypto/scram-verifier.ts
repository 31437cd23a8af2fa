// A SCRAM verifier as Postgres stores it in pg_authid.rolpassword:
//   SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>      (the last three in base64)
// Who has it can check a login and play the server, but not log in.
import { randomBytes } from 'node:crypto'
import { Secret } from '../secret.ts'
import { decodeBase64 } from './base64.ts'
import {
  deriveScramKeys,
  scramIterationsMax,
  scramIterationsUsual,
  scramKeyBytes,
  scramSaltBytesMax,
  storedKeyOf,
} from './scram-keys.ts'

export interface ScramVerifier {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Secret<Buffer>
  readonly serverKey: Secret<Buffer>
}

export interface VerifierOptions {
  readonly salt?: Buffer
  readonly iterations?: number
}

const form = /^SCRAM-SHA-256\$([1-9][0-9]{0,9}):([^$:]+)\$([^$:]+):([^$:]+)$/

/** null for everything else: md5 hashes, plain texts, iteration counts that we would not serve. */
export function parseVerifier(text: string): ScramVerifier | null {
  const match = form.exec(text)
  if (match === null) return null
  const [, iterationsText = '', saltText = '', storedText = '', serverText = ''] = match
  const iterations = Number(iterationsText)
  const salt = decodeBase64(saltText)
  const storedKey = decodeBase64(storedText)
  const serverKey = decodeBase64(serverText)
  if (iterations > scramIterationsMax) return null
  if (salt === null || salt.length === 0 || salt.length > scramSaltBytesMax) return null
  if (storedKey?.length !== scramKeyBytes || serverKey?.length !== scramKeyBytes) return null
  return { iterations, salt, storedKey: new Secret(storedKey), serverKey: new Secret(serverKey) }
}

export function formatVerifier(verifier: ScramVerifier): Secret<string> {
  const salt = verifier.salt.toString('base64')
  const storedKey = verifier.storedKey.reveal().toString('base64')
  const serverKey = verifier.serverKey.reveal().toString('base64')
  return new Secret(`SCRAM-SHA-256$${verifier.iterations}:${salt}$${storedKey}:${serverKey}`)
}

/** What Postgres would store for this password; a random salt of 16 bytes unless one is given. */
export async function makeVerifier(
  password: Secret<string>,
  options: VerifierOptions = {},
): Promise<ScramVerifier> {
  const salt = options.salt ?? randomBytes(16)
  const iterations = options.iterations ?? scramIterationsUsual
  const { clientKey, serverKey } = await deriveScramKeys(password, salt, iterations)
  return { iterations, salt, storedKey: new Secret(storedKeyOf(clientKey.reveal())), serverKey }
}

// Asks a client for a password or token in clear, and judges a password by a verifier. Whether a
// clear text may be asked for at all (TLS, project, options) is decided before.
import { timingSafeEqual } from 'node:crypto'
import {
  DerivationOverloadError,
  deriveScramKeys,
  storedKeyOf,
} from '../../shared/crypto/scram-keys.ts'
import type { ScramVerifier } from '../../shared/crypto/scram-verifier.ts'
import { PoolerError } from '../../shared/errors.ts'
import { authenticationCleartext } from '../../shared/protocol/backend-messages.ts'
import { Secret } from '../../shared/secret.ts'
import { passwordMessageBytesMax } from '../config/limits.ts'
import type { AuthDialog } from './auth-dialog.ts'
import type { SecretVerdict } from './scram-auth.ts'

/** Throws PoolerError: EPROTOCOL for a malformed message, and what `receive` does. */
export async function cleartextAuth(dialog: AuthDialog): Promise<Secret<string>> {
  dialog.send(authenticationCleartext())
  const body = await dialog.receive(passwordMessageBytesMax)
  // One terminator, at the end: a text with another inside is not what the person typed.
  if (body.length === 0 || body.indexOf(0) !== body.length - 1) {
    throw new PoolerError('EPROTOCOL', { values: { reason: 'malformed password message' } })
  }
  return new Secret(body.toString('utf8', 0, body.length - 1))
}

/**
 * Takes as long for a made-up verifier (`isRealRole` false) as for a real one. An empty password is
 * always wrong, as in Postgres. Throws PoolerError EAUTHPROVIDER when too many wait to be judged.
 */
export async function judgePassword(
  password: Secret<string>,
  verifier: ScramVerifier,
  isRealRole: boolean,
): Promise<SecretVerdict> {
  try {
    const { clientKey } = await deriveScramKeys(password, verifier.salt, verifier.iterations)
    const isRight = timingSafeEqual(storedKeyOf(clientKey.reveal()), verifier.storedKey.reveal())
    return isRight && isRealRole && password.reveal() !== '' ? { clientKey } : 'wrong'
  } catch (error) {
    if (!(error instanceof DerivationOverloadError)) throw error
    throw new PoolerError('EAUTHPROVIDER', { cause: error })
  }
}

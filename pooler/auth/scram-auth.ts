// Runs a SCRAM-SHA-256 login with a client. It neither looks verifiers up nor answers refusals: an
// unknown role comes with a made-up verifier and goes through every step that a known one does.
import {
  ScramError,
  type ScramMechanism,
  scramMessageBytesMax,
} from '../../shared/crypto/scram-messages.ts'
import { ScramServer } from '../../shared/crypto/scram-server.ts'
import type { ScramVerifier } from '../../shared/crypto/scram-verifier.ts'
import { PoolerError } from '../../shared/errors.ts'
import {
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from '../../shared/protocol/backend-messages.ts'
import type { Secret } from '../../shared/secret.ts'
import type { AuthDialog } from './auth-dialog.ts'

export interface ScramAuthOptions {
  readonly verifier: ScramVerifier
  /** False for a made-up verifier: then every proof is wrong. */
  readonly isRealRole: boolean
  /** Hash of the certificate that this connection was shown; null: -PLUS is not offered. */
  readonly channelBinding: Buffer | null
  /**
   * Called when the proof has arrived and before it is judged; what it throws ends the exchange. Of
   * many logins at once, those that come after the throttle has closed learn nothing.
   */
  readonly beforeJudging?: () => void
}

/** `clientKey` opens servers where the same verifier is stored. */
export type SecretVerdict = { readonly clientKey: Secret<Buffer> } | 'wrong'

/** With what the client chose of the offer. */
export type ScramVerdict =
  | { readonly clientKey: Secret<Buffer>; readonly mechanism: ScramMechanism }
  | 'wrong'

/** Mechanism name, length word and message of a SASLInitialResponse. */
const initialBytesMax = scramMessageBytesMax + 64

/**
 * After a right proof the server's signature is the dialog's last message, and AuthenticationOk the
 * caller's to send; after a wrong one the client has nothing yet. Throws PoolerError: EPROTOCOL, and
 * what `receive` does.
 */
export async function scramAuth(
  dialog: AuthDialog,
  options: ScramAuthOptions,
): Promise<ScramVerdict> {
  const { verifier, channelBinding, isRealRole } = options
  const scram = new ScramServer({ verifier, channelBinding })
  dialog.send(authenticationSasl(scram.mechanisms))
  try {
    const { mechanism, data } = readInitial(await dialog.receive(initialBytesMax))
    const clientFirst = data ?? (await askForFirst(dialog))
    dialog.send(authenticationSaslContinue(scram.first(mechanism, clientFirst)))
    const clientFinal = await dialog.receive(scramMessageBytesMax)
    options.beforeJudging?.()
    const proof = scram.final(clientFinal)
    if (proof === 'wrong' || !isRealRole) return 'wrong'
    dialog.send(authenticationSaslFinal(proof.serverFinal), true)
    return { clientKey: proof.clientKey, mechanism: scram.mechanism }
  } catch (error) {
    if (!(error instanceof ScramError)) throw error
    throw new PoolerError('EPROTOCOL', { values: { reason: error.message }, cause: error })
  }
}

/** RFC 4422 section 5: a client may leave its first message out and be asked for it by an empty one. */
async function askForFirst(dialog: AuthDialog): Promise<Buffer> {
  dialog.send(authenticationSaslContinue(Buffer.alloc(0)))
  return await dialog.receive(scramMessageBytesMax)
}

function readInitial(body: Buffer): { mechanism: string; data: Buffer | null } {
  const nameEnd = body.indexOf(0)
  if (nameEnd === -1 || body.length < nameEnd + 5) {
    throw new ScramError('malformed SASLInitialResponse')
  }
  const mechanism = body.toString('latin1', 0, nameEnd)
  const length = body.readInt32BE(nameEnd + 1)
  const data = body.subarray(nameEnd + 5)
  if (length === -1 && data.length === 0) return { mechanism, data: null }
  if (length !== data.length) throw new ScramError('malformed SASLInitialResponse')
  return { mechanism, data }
}

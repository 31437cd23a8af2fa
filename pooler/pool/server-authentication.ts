// Answers what a server asks to let us in. The server is not trusted: it gets a password in clear
// only over a private line, SCRAM only within bounds, and no way out of a SCRAM exchange but its own
// valid signature.
import { createHash } from 'node:crypto'
import {
  type ClientChannelBinding,
  ScramClient,
  type ScramSecret,
} from '../../shared/crypto/scram-client.ts'
import { DerivationOverloadError } from '../../shared/crypto/scram-keys.ts'
import { ScramError, scramSha256, scramSha256Plus } from '../../shared/crypto/scram-messages.ts'
import {
  passwordMessage,
  saslInitialResponse,
  saslResponse,
} from '../../shared/protocol/frontend-messages.ts'
import { backend } from '../../shared/protocol/message-types.ts'
import type { Secret } from '../../shared/secret.ts'
import type { LoginConversation } from './login-conversation.ts'
import { type AuthenticationRequest, readAuthentication } from './login-messages.ts'
import { notLetIn, type OpenTarget, unreachable } from './server-open-error.ts'
import type { UpstreamSocket } from './upstream-socket.ts'

export type LoginMethod = 'trust' | 'cleartext' | 'md5' | 'scram' | 'scram-plus'

type Conversation = Pick<LoginConversation, 'send' | 'next' | 'broken'>

export interface AuthenticationOptions {
  readonly target: OpenTarget
  /** null: the server must ask for nothing. */
  readonly credentials: ScramSecret | null
  readonly upstream: UpstreamSocket
}

/** Returns after AuthenticationOk. Throws ServerOpenError, or what reading the socket throws. */
export async function authenticate(
  conversation: Conversation,
  options: AuthenticationOptions,
): Promise<LoginMethod> {
  const { target } = options
  const request = await nextRequest(conversation)
  switch (request.kind) {
    case 'ok':
      return 'trust'
    case 'cleartext': {
      const password = passwordFor('a clear password', options)
      if (!options.upstream.isPrivate) {
        const detail = 'the server asks for a clear password, which is sent only over TLS'
        throw notLetIn(target, detail)
      }
      conversation.send(passwordMessage(password.reveal()))
      await expectOk(conversation)
      return 'cleartext'
    }
    case 'md5': {
      const password = passwordFor('an md5 password', options)
      conversation.send(passwordMessage(md5Answer(password, target.role, request.salt)))
      await expectOk(conversation)
      return 'md5'
    }
    case 'sasl':
      return await answerSasl(conversation, request.mechanisms, options)
    case 'unsupported':
      throw notLetIn(target, `the server asks for authentication method ${request.code}`)
    default:
      throw conversation.broken('SASL data without a SASL request')
  }
}

async function answerSasl(
  conversation: Conversation,
  mechanisms: readonly string[],
  options: AuthenticationOptions,
): Promise<LoginMethod> {
  const { credentials, target } = options
  if (credentials === null) throw notLetIn(target, noCredentials)
  const channelBinding = chooseBinding(mechanisms, options)
  const scram = new ScramClient({ secret: credentials, channelBinding })
  try {
    conversation.send(saslInitialResponse(scram.mechanism, scram.first()))
    const serverFirst = await nextRequest(conversation)
    if (serverFirst.kind !== 'sasl-continue') throw conversation.broken('SASL data were expected')
    conversation.send(saslResponse(await scram.answer(serverFirst.data)))
    const serverFinal = await nextRequest(conversation)
    // An AuthenticationOk here would let in whoever answers without knowing the verifier.
    if (serverFinal.kind !== 'sasl-final') {
      throw notLetIn(target, 'the server did not prove that it knows the password')
    }
    scram.verify(serverFinal.data)
  } catch (error) {
    if (error instanceof ScramError) throw notLetIn(target, error.message, error)
    if (error instanceof DerivationOverloadError) {
      throw unreachable('transient', target, error.message, error)
    }
    throw error
  }
  await expectOk(conversation)
  return channelBinding.kind === 'bound' ? 'scram-plus' : 'scram'
}

/** -PLUS wherever both sides can; see ClientChannelBinding for what the others tell the server. */
function chooseBinding(
  mechanisms: readonly string[],
  { target, upstream }: AuthenticationOptions,
): ClientChannelBinding {
  const { certificateHash } = upstream
  const isPlusOffered = mechanisms.includes(scramSha256Plus)
  if (certificateHash !== null && isPlusOffered) return { kind: 'bound', certificateHash }
  if (!mechanisms.includes(scramSha256)) {
    throw notLetIn(target, 'the server offers no SASL mechanism that is known here')
  }
  return certificateHash === null ? { kind: 'none' } : { kind: 'not-offered' }
}

const noCredentials = 'no password is stored for the role, and nobody has logged in with one'

function passwordFor(what: string, { credentials, target }: AuthenticationOptions): Secret<string> {
  if (credentials === null) throw notLetIn(target, noCredentials)
  if ('password' in credentials) return credentials.password
  // RFC 5802: ClientKey stands in for the password in SCRAM and nowhere else.
  throw notLetIn(target, `the server asks for ${what}, and only a SCRAM key is known for the role`)
}

/** Postgres manual, "Message Flow": md5 over (md5 over password and user in hex) and salt. */
function md5Answer(password: Secret<string>, role: string, salt: Buffer): string {
  const md5 = (...parts: (string | Buffer)[]): string => {
    const hash = createHash('md5')
    for (const part of parts) hash.update(part)
    return hash.digest('hex')
  }
  return `md5${md5(md5(password.reveal(), role), salt)}`
}

async function nextRequest(conversation: Conversation): Promise<AuthenticationRequest> {
  const { type, body } = await conversation.next()
  const request = type === backend.authentication ? readAuthentication(body) : null
  if (request === null) throw conversation.broken('an authentication request was expected')
  return request
}

async function expectOk(conversation: Conversation): Promise<void> {
  const request = await nextRequest(conversation)
  if (request.kind !== 'ok') throw conversation.broken('a second authentication request')
}

// Opens one server: from a tenant's row to a socket that has said ReadyForQuery. Speaks protocol
// 3.0 and sends `user` and `database` only: settings follow clients, they do not open servers.
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { assert } from '../../shared/assert.ts'
import type { ScramSecret } from '../../shared/crypto/scram-client.ts'
import { startupMessage } from '../../shared/protocol/frontend-messages.ts'
import { backend, status } from '../../shared/protocol/message-types.ts'
import { LoginConversation } from './login-conversation.ts'
import { type CancelKey, readCancelKey } from './login-messages.ts'
import { authenticate, type LoginMethod } from './server-authentication.ts'
import { ServerOpenError, socketFault, unreachable } from './server-open-error.ts'
import { placeOf, type ServerPlace } from './server-place.ts'
import { SocketEndedError } from './socket-reader.ts'
import {
  targetOf,
  type UpstreamOptions,
  type UpstreamSocket,
  withUpstream,
} from './upstream-socket.ts'

export interface OpenServerOptions extends UpstreamOptions {
  readonly database: string
  readonly credentials: ScramSecret | null
  /** Further startup parameters, for auxiliary connections only. */
  readonly parameters?: Readonly<Record<string, string>>
}

export interface OpenedServer {
  /** Paused, with no reader of ours; errors are ignored until the next owner listens. */
  readonly socket: Socket | TLSSocket
  /** What the server reported until ReadyForQuery. */
  readonly parameters: Map<string, string>
  /** 0 with an empty secret where the server sent no key: it cannot be cancelled. */
  readonly processId: number
  readonly cancelSecret: Buffer
  /** Bytes read behind ReadyForQuery. */
  readonly rest: Buffer
  readonly method: LoginMethod
  /** null where the server asked for nothing. */
  readonly credentialsUsed: ScramSecret | null
  readonly place: ServerPlace
}

/** Throws ServerOpenError and nothing else, but for broken invariants. */
export async function openServer(options: OpenServerOptions): Promise<OpenedServer> {
  return await withUpstream(options, async (upstream, signal) => {
    const conversation = new LoginConversation(upstream.socket, targetOf(options), signal)
    try {
      const loggedIn = await logIn(conversation, upstream, options)
      return { ...loggedIn, rest: conversation.release() }
    } catch (error) {
      conversation.release()
      const failure = typed(error, options)
      if (failure instanceof ServerOpenError) failure.address = upstream.address
      throw failure
    }
  })
}

async function logIn(
  conversation: LoginConversation,
  upstream: UpstreamSocket,
  options: OpenServerOptions,
): Promise<Omit<OpenedServer, 'rest'>> {
  const { credentials } = options
  conversation.send(startupMessage(startupParameters(options)))
  const target = targetOf(options)
  const method = await authenticate(conversation, { target, credentials, upstream })
  let key: CancelKey = { processId: 0, secret: Buffer.alloc(0) }
  for (;;) {
    const { type, body } = await conversation.next()
    if (type === backend.backendKeyData) {
      const read = readCancelKey(body)
      if (read === null) throw conversation.broken('malformed BackendKeyData')
      key = read
    } else if (type === backend.readyForQuery && body.length === 1 && body[0] === status.idle) {
      const credentialsUsed = method === 'trust' ? null : credentials
      return {
        socket: upstream.socket,
        place: placeOf(upstream.address, options.tenant, credentialsUsed),
        parameters: conversation.parameters,
        processId: key.processId,
        cancelSecret: key.secret,
        method,
        credentialsUsed,
      }
    } else {
      throw conversation.broken('a message that has no place between login and ReadyForQuery')
    }
  }
}

function startupParameters(options: OpenServerOptions): ReadonlyMap<string, string> {
  const parameters = new Map(Object.entries(options.parameters ?? {}))
  parameters.set('user', options.role).set('database', options.database)
  for (const [name, value] of parameters) {
    assert(!name.includes('\0') && !value.includes('\0'), 'startup parameters hold no NUL')
  }
  return parameters
}

function typed(error: unknown, options: OpenServerOptions): unknown {
  const target = targetOf(options)
  if (error instanceof ServerOpenError) return error
  if (error instanceof SocketEndedError) {
    return unreachable('transient', target, 'the server closed the connection', error)
  }
  const isSocketFault = error instanceof Error && 'code' in error
  return isSocketFault ? socketFault(target, error) : error
}

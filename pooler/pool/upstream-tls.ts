// TLS towards a tenant's database: from a connected socket to a secured one, as the tenant's mode
// asks. There is no mode that goes on without TLS when the server has none.
import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import tls from 'node:tls'
import { LRUCache } from 'lru-cache'
import { certificateHash } from '../../shared/crypto/channel-binding.ts'
import { sslRequest } from '../../shared/protocol/frontend-messages.ts'
import type { Tenant } from '../tenant/tenant.ts'
import {
  brokenProtocol,
  type OpenTarget,
  ServerOpenError,
  socketFault,
  unreachable,
} from './server-open-error.ts'
import { SocketEndedError, SocketReader } from './socket-reader.ts'

export type UpstreamTlsSettings = Pick<Tenant, 'dbHost' | 'upstreamTls' | 'upstreamCa'>

export interface SecuredUpstream {
  readonly socket: tls.TLSSocket
  /** For channel binding; null where the certificate's signature has no hash of its own. */
  readonly certificateHash: Buffer | null
}

const answerYes = 0x53 // S
const answerNo = 0x4e // N

/**
 * Asks for TLS and shakes hands. Throws ServerOpenError; the socket is destroyed then.
 * `globalCa`: PEM that counts where the tenant has no authority of its own.
 */
export async function secureUpstream(
  socket: Socket,
  settings: UpstreamTlsSettings,
  globalCa: string | null,
  target: OpenTarget,
  signal: AbortSignal,
): Promise<SecuredUpstream> {
  try {
    await askForTls(socket, target, signal)
    const secured = await shakeHands(socket, settings, globalCa, target, signal)
    const { raw } = secured.getPeerCertificate()
    return { socket: secured, certificateHash: raw ? certificateHash(raw) : null }
  } catch (error) {
    socket.destroy()
    if (error instanceof ServerOpenError) throw error
    if (error instanceof SocketEndedError) {
      throw unreachable('transient', target, 'the server closed the connection', error)
    }
    throw error instanceof Error ? socketFault(target, error) : error
  }
}

/** Any byte behind the answer was sent before TLS by whoever sits in between (CVE-2021-23222). */
async function askForTls(socket: Socket, target: OpenTarget, signal: AbortSignal): Promise<void> {
  const reader = new SocketReader(socket, signal)
  socket.write(sslRequest())
  const answer = await reader.chunk().finally(() => reader.release())
  if (answer[0] === answerNo) {
    const detail = 'the server offers no TLS, and the project asks for it'
    throw unreachable('permanent', target, detail)
  }
  if (answer[0] !== answerYes) {
    // An ErrorResponse here comes from a server that cannot even start a session. Its text was not
    // protected by TLS and is not shown (CVE-2024-10977).
    const kind = answer[0] === 0x45 ? 'transient' : 'permanent'
    throw unreachable(kind, target, 'the server did not answer the request for TLS')
  }
  if (answer.length > 1 || socket.readableLength > 0) {
    throw brokenProtocol(target, 'bytes between the answer to SSLRequest and the handshake')
  }
}

function shakeHands(
  socket: Socket,
  settings: UpstreamTlsSettings,
  globalCa: string | null,
  target: OpenTarget,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = tls.connect({ socket, ...tlsOptions(settings, globalCa, target) })
    const onAbort = (): void => settle(signal.reason as Error)
    const settle = (error: Error | null): void => {
      signal.removeEventListener('abort', onAbort)
      secured.off('secureConnect', onSecure).off('close', onClose)
      if (error === null) {
        resolve(secured)
      } else {
        secured.destroy()
        reject(error)
      }
    }
    const onSecure = (): void => settle(null)
    const onClose = (): void => settle(new SocketEndedError('closed during the TLS handshake'))
    // Stays: an error after the handshake is seen by the next reader through 'close'.
    secured.on('error', (error) => settle(handshakeFault(target, error)))
    secured.once('secureConnect', onSecure).once('close', onClose)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  })
}

/** A lost connection may come back; a certificate or a protocol version does not change by waiting. */
function handshakeFault(target: OpenTarget, error: Error): Error {
  const code = 'code' in error ? String(error.code) : 'unknown'
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT') return error
  const detail =
    code === 'ERR_TLS_CERT_ALTNAME_INVALID'
      ? "the certificate of the server does not name the project's host"
      : `TLS to the server failed (${code})`
  return unreachable('permanent', target, detail, error)
}

function tlsOptions(
  settings: UpstreamTlsSettings,
  globalCa: string | null,
  target: OpenTarget,
): tls.ConnectionOptions {
  const host = settings.dbHost.replace(/^\[(.*)\]$/, '$1')
  const isVerified = settings.upstreamTls !== 'require'
  return {
    host,
    // RFC 6066 section 3: addresses are no server names.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['postgresql'],
    secureContext: contextFor(
      isVerified ? (settings.upstreamCa ?? globalCa) : null,
      isVerified,
      target,
    ),
    rejectUnauthorized: isVerified,
    ...(settings.upstreamTls === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  }
}

/** Parsing authorities takes milliseconds; there are about as many texts as projects with their own. */
const contexts = new LRUCache<string, tls.SecureContext>({ max: 500 })

function contextFor(ca: string | null, isVerified: boolean, target: OpenTarget): tls.SecureContext {
  const key = isVerified ? (ca ?? 'system') : 'unverified'
  const known = contexts.get(key)
  if (known !== undefined) return known
  try {
    const authorities = isVerified ? { ca: ca ?? systemAuthorities() } : {}
    const context = tls.createSecureContext({ minVersion: 'TLSv1.2', ...authorities })
    contexts.set(key, context)
    return context
  } catch (cause) {
    throw unreachable('permanent', target, 'the upstream CA of the project is not usable', cause)
  }
}

/** The machine's store; where it has none, as in slim containers, the one that Node brings. */
function systemAuthorities(): string[] {
  const system = tls.getCACertificates('system')
  return system.length > 0 ? system : tls.getCACertificates('bundled')
}

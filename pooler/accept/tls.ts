// The server's side of a TLS handshake with a client, by Node's own tls, on a socket whose first
// bytes were already read. Which certificate is shown is server-certificates.ts; deadlines are the
// caller's, who destroys the socket.
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { PoolerError } from '../../shared/errors.ts'
import { certificateIn, type ServerCertificates } from './server-certificates.ts'

/** The only protocol that may be spoken inside (Postgres manual, 54.2.11). */
const alpnName = 'postgresql'

export interface TlsStart {
  readonly certificates: ServerCertificates
  /** Read already and part of the handshake: they are put back in front. */
  readonly alreadyRead: Buffer
  /** Direct TLS must name its protocol, so that no browser's or mailer's TLS lands here. */
  readonly requireAlpn: boolean
}

export interface SecuredSocket {
  readonly socket: TLSSocket
  /** From the ClientHello, as sent. */
  readonly serverName: string | null
  /** DER of the certificate that this connection was shown, for channel binding (RFC 5929). */
  readonly certificate: Buffer
}

/**
 * The socket must have no `data` or `readable` listener any more. Rejects with ESTARTUPMESSAGE when
 * the handshake fails or the peer goes away; both sockets are destroyed then. Afterwards only the
 * secured one may be destroyed, which takes the raw one with it; until then, for a deadline, the
 * raw one.
 */
export function secureServerSide(socket: Socket, start: TlsStart): Promise<SecuredSocket> {
  if (socket.destroyed) return Promise.reject(handshakeFault('the connection is closed'))
  socket.pause()
  if (start.alreadyRead.length > 0) socket.unshift(start.alreadyRead)
  const { certificates } = start
  let context = certificates.contextFor(null)
  const secured = new TLSSocket(socket, {
    isServer: true,
    secureContext: context,
    SNICallback: (serverName, answer) => {
      context = certificates.contextFor(serverName)
      answer(null, context)
    },
    ALPNProtocols: [alpnName],
  })
  return new Promise((resolve, reject) => {
    let fault: Error | null = null
    // These two stay: an error in the same turn as the end of the handshake comes before the
    // caller can listen, and one without a listener would end the process. What breaks the raw
    // socket closes the secured one.
    socket.on('error', () => {})
    secured.on('error', (error) => {
      fault ??= error
    })
    const onClose = (): void => {
      const what = fault === null ? 'the connection closed in the' : 'broken'
      reject(handshakeFault(`${what} TLS handshake`, fault ?? undefined))
    }
    secured.once('close', onClose)
    secured.once('secure', () => {
      // OpenSSL is still on the stack, and its object must outlive it: Node 24 crashes when now, or
      // in a microtask from here, the raw socket is destroyed and then the secured one.
      setImmediate(() => {
        if (socket.destroyed || secured.destroyed) return
        const result = judgeHandshake(secured, context, start.requireAlpn)
        if (result instanceof PoolerError) {
          reject(result)
          secured.destroy()
          return
        }
        secured.off('close', onClose)
        resolve(result)
      })
    })
  })
}

/** What the finished handshake gave, or why it is not enough. */
function judgeHandshake(
  secured: TLSSocket,
  context: SecureContext,
  requireAlpn: boolean,
): SecuredSocket | PoolerError {
  if (requireAlpn && secured.alpnProtocol !== alpnName) {
    return handshakeFault(`direct TLS needs the ALPN protocol ${alpnName}`)
  }
  const certificate = certificateIn(context)
  return { socket: secured, serverName: serverNameOf(secured), certificate }
}

function handshakeFault(reason: string, cause?: unknown): PoolerError {
  return new PoolerError('ESTARTUPMESSAGE', { values: { reason }, cause })
}

/** Node says false where no name was sent; its types know nothing of the field. */
function serverNameOf(secured: TLSSocket): string | null {
  const { servername } = secured as TLSSocket & { readonly servername?: string | false | null }
  return typeof servername === 'string' && servername !== '' ? servername : null
}

// From an accepted socket to a startup packet: probes, encryption requests, cancels. Whose
// connection it is comes later.
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { PoolerError } from '../../shared/errors.ts'
import { noBytes } from '../../shared/no-bytes.ts'
import { negotiateProtocolVersion } from '../../shared/protocol/backend-messages.ts'
import type { ServerCertificates } from '../accept/server-certificates.ts'
import { type SecuredSocket, secureServerSide } from '../accept/tls.ts'
import { healthAnswer } from '../startup/health-answer.ts'
import type { StartupPacket } from '../startup/startup-packet.ts'
import { StartupReader, type StartupStep } from '../startup/startup-reader.ts'
import { readChunk } from './socket-reading.ts'

export interface Arrival {
  readonly socket: Socket | TLSSocket
  readonly packet: StartupPacket
  /** Bytes that came behind the startup packet. */
  readonly rest: Buffer
  /** null on a plain connection. */
  readonly tls: Pick<SecuredSocket, 'serverName' | 'certificate'> | null
}

export interface ArrivalOptions {
  /** Bytes that have been read from the socket already. */
  readonly firstBytes: Buffer
  readonly version: string
  /** null: TLS is not offered. */
  readonly certificates: ServerCertificates | null
  readonly onCancel: (processId: number, secret: Buffer) => Promise<void>
  /** Nothing but TLS may be said from here on, and not before `onSocket`. */
  readonly onHandshake: () => void
  /** The socket to close from now on, and to say errors on. */
  readonly onSocket: (socket: Socket) => void
}

const yes = Buffer.from('S')
const no = Buffer.from('N')

/**
 * null when the connection has had its answer and is to be closed without another word.
 * Rejects with PoolerError for what the client must be told.
 */
export async function arrive(socket: Socket, options: ArrivalOptions): Promise<Arrival | null> {
  let current = socket
  let tls: Arrival['tls'] = null
  let reader = new StartupReader({ isTls: false })
  const secure = async (alreadyRead: Buffer, requireAlpn: boolean): Promise<void> => {
    const { certificates } = options
    if (certificates === null) {
      throw new PoolerError('ESTARTUPMESSAGE', { values: { reason: 'TLS is not offered here' } })
    }
    options.onHandshake()
    const secured = await secureServerSide(current, { certificates, alreadyRead, requireAlpn })
    tls = secured
    current = secured.socket
    options.onSocket(current)
    reader = new StartupReader({ isTls: true })
  }
  let chunk: Buffer | null = options.firstBytes.length > 0 ? options.firstBytes : null
  for (;;) {
    chunk ??= await readChunk(current)
    if (chunk === null) return null
    const step: StartupStep = reader.feed(chunk)
    chunk = null
    switch (step.kind) {
      case 'more':
        break
      case 'refused':
        throw step.error
      case 'http-get':
        current.write(healthAnswer(options.version))
        return null
      case 'cancel':
        await options.onCancel(step.processId, step.secret)
        return null
      case 'direct-tls':
        await secure(step.bytes, true)
        break
      case 'ssl-request':
        // Plaintext behind the request would be taken for the client's own words inside TLS.
        if (step.hasTrailingBytes) return null
        current.write(options.certificates === null ? no : yes)
        if (options.certificates !== null) await secure(noBytes, false)
        break
      case 'gssenc-request':
        if (step.hasTrailingBytes) return null
        current.write(no)
        break
      case 'startup':
        return { socket: current, packet: step.packet, rest: step.rest, tls }
    }
  }
}

/** Tells, in front of all authentication, which version and which options are not served. */
export function tellVersion({ socket, packet }: Arrival): void {
  if (packet.negotiate === null) return
  const { minor, unknownOptions } = packet.negotiate
  socket.write(negotiateProtocolVersion(minor, unknownOptions))
}

// Whose connection is it? From the startup packet and the TLS server name to a project and a role.
// Pure: whether the project exists is the caller's question to the tenant cache.
import { PoolerError } from '../../shared/errors.ts'
import { refBytesMax } from '../config/limits.ts'
import { quoteForText } from './quote-for-text.ts'
import { checkNameLength, type StartupRequest } from './startup-parameters.ts'

/** What a port was opened for; a `db.` server name on the session port makes a connection direct. */
export type ListenerMode = 'transaction' | 'session'

export interface ArrivalPlace {
  /** From the ClientHello; null without TLS or without the extension. */
  readonly serverName: string | null
  /** POOLER_DOMAIN, null where it is not set. */
  readonly poolerDomain: string | null
  readonly listenerMode: ListenerMode
}

interface IdentityBase {
  /** 1 to 63 bytes. */
  readonly role: string
  readonly isDirect: boolean
}
export type Identity = IdentityBase &
  (
    | { readonly by: 'ref'; readonly ref: string }
    | { readonly by: 'sniHostname'; readonly sniHostname: string }
  )

type NamedHost =
  | { readonly kind: 'project'; readonly ref: string; readonly isDb: boolean }
  | { readonly kind: 'foreign'; readonly sniHostname: string }
  | { readonly kind: 'none' }

/** Throws ENOIDENTIFIER, ENOTFOUND (for what no ref can be) or EINVALIDUSERINFO. */
export function identifyTenant(request: StartupRequest, place: ArrivalPlace): Identity {
  const host = readHost(place.serverName, place.poolerDomain)
  if (host.kind === 'project' && host.isDb && place.listenerMode === 'session') {
    return identifyDirect(request, host.ref)
  }
  const { reference } = request.options
  if (reference !== null) return byRef(reference, request.user, false)
  const dotAt = request.user.lastIndexOf('.')
  if (dotAt !== -1) {
    return byRef(request.user.slice(dotAt + 1), request.user.slice(0, dotAt), false)
  }
  if (host.kind === 'project') return byRef(host.ref, request.user, false)
  if (host.kind === 'foreign') {
    checkNameLength('role', request.user)
    const { sniHostname } = host
    return { by: 'sniHostname', sniHostname, role: request.user, isDirect: false }
  }
  throw new PoolerError('ENOIDENTIFIER')
}

/** The server name has said which project it is; nothing in the packet may say otherwise. */
function identifyDirect(request: StartupRequest, ref: string): Identity {
  const { reference } = request.options
  if (reference !== null && reference !== ref) throw notFound(reference)
  const suffix = `.${ref}`
  const { user } = request
  return byRef(ref, user.endsWith(suffix) ? user.slice(0, -suffix.length) : user, true)
}

function byRef(ref: string, role: string, isDirect: boolean): Identity {
  if (ref === '' || Buffer.byteLength(ref) > refBytesMax) throw notFound(ref)
  checkNameLength('role', role)
  return { by: 'ref', ref, role, isDirect }
}

/**
 *     <ref>.<domain>   db.<ref>.<domain>   any name that is not under the domain
 *
 * The domain itself, and deeper or other names under it, identify nobody.
 */
function readHost(serverName: string | null, poolerDomain: string | null): NamedHost {
  const name = foldHost(serverName ?? '')
  if (name === '') return { kind: 'none' }
  const domain = foldHost(poolerDomain ?? '')
  if (domain === '') return { kind: 'foreign', sniHostname: name }
  if (name === domain) return { kind: 'none' }
  if (!name.endsWith(`.${domain}`)) return { kind: 'foreign', sniHostname: name }
  const labels = name.slice(0, -domain.length - 1).split('.')
  const isDb = labels.length === 2 && labels[0] === 'db'
  const ref = isDb ? labels[1] : labels[0]
  if (!ref || (!isDb && labels.length > 1)) return { kind: 'none' }
  return { kind: 'project', ref, isDb }
}

/** DNS names are the same in every case, and with or without the root's dot. */
function foldHost(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}

function notFound(ref: string): PoolerError {
  return new PoolerError('ENOTFOUND', { values: { ref: quoteForText(ref).slice(1, -1) } })
}

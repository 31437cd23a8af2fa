// A connection to a tenant's database before any login: name, TCP, TLS. Servers, auxiliary
// connections and cancels all start here, so all of them follow the same TLS rules.
import { isIP, connect as netConnect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import ipaddr from 'ipaddr.js'
import { type Clock, systemClock } from '../../shared/clock.ts'
import type { Tenant } from '../tenant/tenant.ts'
import { type OpenTarget, ServerOpenError, socketFault, unreachable } from './server-open-error.ts'
import { unlessAborted, withTimeLimit } from './time-limit.ts'
import { UpstreamAddressError, UpstreamAddresses } from './upstream-address.ts'
import { secureUpstream } from './upstream-tls.ts'

export interface UpstreamOptions {
  readonly tenant: Tenant
  /** For error texts only. */
  readonly role: string
  /** For each address. */
  readonly connectTimeoutMs: number
  /** For all that follows the TCP connection. */
  readonly loginTimeoutMs: number
  /** PEM; counts where the tenant has no authority of its own. */
  readonly globalCa: string | null
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock
  readonly addresses?: UpstreamAddresses
  /** The credentials are a person's own token. */
  readonly isTokenPassed?: boolean
  /** Connects to this address and resolves nothing: a cancel belongs to where its server is. */
  readonly address?: string
}

export interface UpstreamSocket {
  readonly socket: Socket | TLSSocket
  /** The address connected to. */
  readonly address: string
  readonly isTls: boolean
  /** Nobody in between can read along: TLS, or the machine itself. */
  readonly isPrivate: boolean
  readonly certificateHash: Buffer | null
}

const keepAliveMs = 60_000
const sharedAddresses = new UpstreamAddresses()

/**
 * Connects, secures, and gives the result to `use` under the login time limit. Throws
 * ServerOpenError; the socket is destroyed when `use` throws.
 */
export async function withUpstream<Result>(
  options: UpstreamOptions,
  use: (upstream: UpstreamSocket, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const target = targetOf(options)
  try {
    const { socket, address } = await connectFirst(options, target)
    try {
      const makeReason = () => timedOut(target, 'login', options.loginTimeoutMs)
      return await limited(options, options.loginTimeoutMs, makeReason, async (signal) =>
        use(await secure(socket, address, options, signal), signal),
      )
    } catch (error) {
      // Takes a TLS session on top of it along.
      socket.destroy()
      throw error
    }
  } catch (error) {
    if (!options.signal?.aborted) throw error
    throw unreachable('transient', target, 'the attempt was given up', error)
  }
}

export const targetOf = (options: UpstreamOptions): OpenTarget => ({
  ref: options.tenant.ref,
  role: options.role,
  isTokenPassed: options.isTokenPassed ?? false,
})

function limited<Result>(
  options: UpstreamOptions,
  ms: number,
  makeReason: () => Error,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { clock = systemClock, signal } = options
  return withTimeLimit({ clock, ms, signal, makeReason }, run)
}

async function secure(
  socket: Socket,
  address: string,
  options: UpstreamOptions,
  signal: AbortSignal,
): Promise<UpstreamSocket> {
  const { tenant, globalCa } = options
  if (tenant.upstreamTls === 'disable') {
    const isPrivate = ipaddr.process(address).range() === 'loopback'
    return { socket, address, isTls: false, isPrivate, certificateHash: null }
  }
  const secured = await secureUpstream(socket, tenant, globalCa, targetOf(options), signal)
  return { ...secured, address, isTls: true, isPrivate: true }
}

/** The first address that accepts; each has the full time, the last one's fault is told. */
async function connectFirst(
  options: UpstreamOptions,
  target: OpenTarget,
): Promise<{ socket: Socket; address: string }> {
  let fault: unknown = null
  for (const address of await resolveAddresses(options, target)) {
    const ms = options.connectTimeoutMs
    const makeReason = () => timedOut(target, 'connection', ms)
    try {
      const socket = await limited(options, ms, makeReason, (signal) =>
        connectTo(address, options.tenant.dbPort, signal),
      )
      return { socket, address }
    } catch (error) {
      if (options.signal?.aborted) throw error
      fault = error
    }
  }
  throw fault instanceof ServerOpenError ? fault : socketFault(target, fault as Error)
}

async function resolveAddresses(
  options: UpstreamOptions,
  target: OpenTarget,
): Promise<readonly string[]> {
  if (options.address !== undefined && isIP(options.address) !== 0) return [options.address]
  const { tenant, addresses = sharedAddresses } = options
  const makeReason = () => timedOut(target, 'look-up of the host name', options.connectTimeoutMs)
  try {
    return await limited(options, options.connectTimeoutMs, makeReason, (signal) =>
      unlessAborted(addresses.resolve(tenant.dbHost, tenant.ipVersion, tenant.dbPort), signal),
    )
  } catch (error) {
    if (!(error instanceof UpstreamAddressError)) throw error
    const kind = error.isPermanent ? 'permanent' : 'transient'
    throw unreachable(kind, target, error.message, error)
  }
}

function connectTo(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const keepAlive = { keepAlive: true, keepAliveInitialDelay: keepAliveMs }
    const socket = netConnect({ host, port, noDelay: true, ...keepAlive })
    const onAbort = (): void => settle(signal.reason as Error)
    const settle = (error: Error | null): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('connect', onConnect)
      if (error === null) {
        resolve(socket)
      } else {
        socket.destroy()
        reject(error)
      }
    }
    const onConnect = (): void => settle(null)
    // Stays: between two readers nobody else listens.
    socket.on('error', settle).once('connect', onConnect)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  })
}

const timedOut = (target: OpenTarget, what: string, ms: number): ServerOpenError =>
  unreachable('transient', target, `${what} took longer than ${ms} ms`)

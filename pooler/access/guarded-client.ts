// HTTP to places that an operator named: keys of an identity provider, outside authorisers. Redirects
// are answers like any other, bodies and times are bounded, connections are kept, and the address
// that was checked is the one that is dialled.
import {
  Agent,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
} from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { Clock } from '../../shared/clock.ts'
import { guardedRequestsPerPlaceMax, guardedSocketsPerPlaceMax } from '../config/limits.ts'
import type { UpstreamAddresses } from '../pool/upstream-address.ts'

export interface GuardedRequest {
  readonly method: 'GET' | 'POST'
  /** Whether it may be asked at all is guarded-url.ts. */
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
  readonly bodyBytesMax: number
}

export interface GuardedAnswer {
  readonly status: number
  readonly body: string
}

/** No answer that could be used. The message names no secret and nothing of the answer. */
export class GuardedRequestError extends Error {
  override readonly name = 'GuardedRequestError'
}

export interface GuardedClientOptions {
  /** Never gives a link-local address or a port of this process: that would be asking ourselves. */
  readonly addresses: Pick<UpstreamAddresses, 'resolve'>
  readonly clock: Clock
  /** PEM, besides the system's and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string
}

const idleConnectionMs = 30_000
const headerBytesMax = 16 * 1024

export class GuardedClient {
  readonly #options: GuardedClientOptions
  readonly #agents: { readonly 'http:': Agent; readonly 'https:': TlsAgent }
  /** Requests under way, by place. */
  readonly #inFlight = new Map<string, number>()

  constructor(options: GuardedClientOptions) {
    this.#options = options
    const { ca } = options
    const habits = {
      keepAlive: true,
      timeout: idleConnectionMs,
      maxSockets: guardedSocketsPerPlaceMax,
      maxFreeSockets: 4,
      scheduling: 'lifo',
    } as const
    this.#agents = {
      'http:': new Agent(habits),
      'https:': new TlsAgent({ ...habits, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) }),
    }
  }

  /** Throws GuardedRequestError and nothing else. Any status is an answer. */
  async ask(request: GuardedRequest): Promise<GuardedAnswer> {
    const { origin, host } = request.url
    const asking = this.#inFlight.get(origin) ?? 0
    // One place that is slow must not take the room of all others.
    if (asking >= guardedRequestsPerPlaceMax) {
      throw new GuardedRequestError(`${host} is asked too much at once`)
    }
    this.#inFlight.set(origin, asking + 1)
    try {
      return await this.#send(request)
    } catch (cause) {
      if (cause instanceof GuardedRequestError) throw cause
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no code'
      throw new GuardedRequestError(`${host} could not be asked (${code})`, { cause })
    } finally {
      const left = (this.#inFlight.get(origin) ?? 1) - 1
      if (left === 0) this.#inFlight.delete(origin)
      else this.#inFlight.set(origin, left)
    }
  }

  close(): void {
    this.#agents['http:'].destroy()
    this.#agents['https:'].destroy()
  }

  async #send(request: GuardedRequest): Promise<GuardedAnswer> {
    const { url, method, headers, body, timeoutMs, bodyBytesMax } = request
    const isTls = url.protocol === 'https:'
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const resolve = (name: string) => this.#resolve(name, url, isTls)
    // An address in the URL is dialled without a look-up.
    if (isIP(host) !== 0) await resolve(host)
    return await new Promise((answered, reject) => {
      const options: RequestOptions = {
        method,
        headers: { ...headers, 'accept-encoding': 'identity' },
        agent: this.#agents[isTls ? 'https:' : 'http:'],
        lookup: lookupBy(resolve),
        maxHeaderSize: headerBytesMax,
      }
      const sent = (isTls ? tlsRequest : plainRequest)(url, options)
      const limit = this.#options.clock.after(timeoutMs, () =>
        sent.destroy(new GuardedRequestError(`${url.host} did not answer within ${timeoutMs} ms`)),
      )
      sent.once('close', () => limit.cancel())
      sent.on('error', reject)
      sent.once('response', (response) => {
        readBody(response, bodyBytesMax).then(
          (text) => answered({ status: response.statusCode ?? 0, body: text }),
          (error: Error) => {
            reject(error)
            sent.destroy()
          },
        )
      })
      sent.end(body)
    })
  }

  async #resolve(host: string, url: URL, isTls: boolean): Promise<readonly string[]> {
    const port = Number(url.port || (isTls ? 443 : 80))
    const addresses = await this.#options.addresses.resolve(host, 'auto', port)
    const isHere = addresses.every((address) => ipaddr.process(address).range() === 'loopback')
    if (isTls || isHere) return addresses
    throw new GuardedRequestError('a plain connection is made to this machine only')
  }
}

/** What `resolve` gives is what is dialled. */
const lookupBy =
  (resolve: (host: string) => Promise<readonly string[]>): LookupFunction =>
  (host, options, callback) => {
    resolve(host).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: isIP(address) }))
        const [first] = found
        if (options.all === true) callback(null, found)
        else callback(null, first?.address ?? '', first?.family)
      },
      (error: Error) => callback(error, ''),
    )
  }

/** Rejects when the body is too long, is compressed, or breaks off. */
async function readBody(response: IncomingMessage, bytesMax: number): Promise<string> {
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new GuardedRequestError('the answer is encoded')
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > bytesMax) throw new GuardedRequestError(`the answer is over ${bytesMax} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

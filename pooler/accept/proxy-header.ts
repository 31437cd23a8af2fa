// The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): what a load balancer says
// of the client before the client's own first byte. Synchronous and without I/O; whose word counts is
// decided by the caller.
import { isIPv4, isIPv6 } from 'node:net'
import { proxyHeaderBytesMax } from '../config/limits.ts'
import { normalizeAddress } from './address-filter.ts'

export type ProxyHeader =
  /** What has come may still become a header. */
  | { readonly kind: 'more' }
  /** An HTTP probe of the balancer's own. */
  | { readonly kind: 'probe' }
  /** `address` null: the balancer speaks for itself, or does not know. `bytes`: the header's length. */
  | { readonly kind: 'header'; readonly address: string | null; readonly bytes: number }
  | { readonly kind: 'malformed'; readonly reason: string }

const probe = Buffer.from('GET ', 'latin1')
const textStart = Buffer.from('PROXY ', 'latin1')
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** Section 2.1: the longest line of version 1, its end included. */
const textBytesMax = 107
/** Signature, version and command, family, length. */
const binaryHeadBytes = 16

const more: ProxyHeader = { kind: 'more' }
const malformed = (reason: string): ProxyHeader => ({ kind: 'malformed', reason })

/** `bytes` are all that has come so far; every split of the same bytes ends in the same answer. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, signature)) return bytes.length < binaryHeadBytes ? more : readBinary(bytes)
  if (begins(bytes, textStart)) return bytes.length < textStart.length ? more : readText(bytes)
  if (begins(bytes, probe)) return bytes.length < probe.length ? more : { kind: 'probe' }
  return malformed('it is missing')
}

/** As far as both go, they are equal. */
function begins(bytes: Buffer, start: Buffer): boolean {
  const common = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, common, 0, common) === 0
}

function readText(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, textBytesMax).indexOf('\r\n')
  if (end === -1) return bytes.length < textBytesMax ? more : malformed('its line does not end')
  const headerBytes = end + 2
  const [, family, ...rest] = bytes.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { kind: 'header', address: null, bytes: headerBytes }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : null
  if (isAddress === null) return malformed('its family is neither TCP4, TCP6 nor UNKNOWN')
  const [source = '', destination = '', ...ports] = rest
  if (!isAddress(source) || !isAddress(destination)) return malformed('an address of it is none')
  if (ports.length !== 2 || !ports.every(isPort)) return malformed('a port of it is none')
  return { kind: 'header', address: normalizeAddress(source), bytes: headerBytes }
}

const isPort = (text: string): boolean => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535

/** 12 signature │ 1 version, command │ 1 family, transport │ 2 length │ addresses, ports, extensions. */
function readBinary(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const bodyBytes = bytes.readUInt16BE(14)
  const headerBytes = binaryHeadBytes + bodyBytes
  const command = versionAndCommand & 0xf
  if (versionAndCommand >> 4 !== 2 || command > 1) return malformed('its version is unknown')
  if (headerBytes > proxyHeaderBytesMax) return malformed(`it has ${headerBytes} bytes`)
  if (bytes.length < headerBytes) return more
  const unknown: ProxyHeader = { kind: 'header', address: null, bytes: headerBytes }
  // LOCAL: a probe of the balancer's own; whatever else stands there is to be skipped.
  if (command === 0) return unknown
  switch (family) {
    case 0x11:
      return bodyBytes < 12 ? malformed('it is too short') : named(bytes, 4, headerBytes)
    case 0x21:
      return bodyBytes < 36 ? malformed('it is too short') : named(bytes, 16, headerBytes)
    case 0x00:
    case 0x31:
      return unknown
    default:
      return malformed('its family is unknown')
  }
}

function named(bytes: Buffer, addressBytes: number, headerBytes: number): ProxyHeader {
  const source = bytes.subarray(binaryHeadBytes, binaryHeadBytes + addressBytes)
  const text =
    addressBytes === 4 ? source.join('.') : (source.toString('hex').match(/.{4}/g) ?? []).join(':')
  return { kind: 'header', address: normalizeAddress(text), bytes: headerBytes }
}

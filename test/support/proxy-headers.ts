// PROXY protocol headers as load balancers write them (haproxy.org, doc/proxy-protocol.txt).
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

export function textHeader(address: string, family = isIPv4(address) ? 'TCP4' : 'TCP6'): Buffer {
  return Buffer.from(`PROXY ${family} ${address} ${address} 51234 6543\r\n`, 'latin1')
}

export interface BinaryHeader {
  /** 0x21: version 2, PROXY. 0x20: LOCAL. */
  readonly versionAndCommand?: number
  readonly family?: number
  /** Behind the addresses: extensions. */
  readonly extensions?: Buffer
}

export function binaryHeader(address: string, header: BinaryHeader = {}): Buffer {
  const bytes = ipaddr.parse(address).toByteArray()
  const { versionAndCommand = 0x21, family = bytes.length === 4 ? 0x11 : 0x21 } = header
  const ports = [200, 2, 25, 143]
  const body = Buffer.concat([
    Buffer.from([...bytes, ...bytes, ...ports]),
    header.extensions ?? Buffer.alloc(0),
  ])
  const head = Buffer.from([versionAndCommand, family, body.length >> 8, body.length & 0xff])
  return Buffer.concat([signature, head, body])
}

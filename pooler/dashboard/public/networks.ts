// Address ranges as somebody types them: one a line or with commas, each told what is wrong with it.
// The API has the last word (access/rule-networks.ts); a test holds the two together. Pure.

export interface TypedNetworks {
  readonly v4: readonly string[]
  readonly v6: readonly string[]
  /** In the order of what was typed. */
  readonly faults: readonly { readonly text: string; readonly fault: string }[]
}

export function readTypedNetworks(text: string): TypedNetworks {
  const v4: string[] = []
  const v6: string[] = []
  const faults: { text: string; fault: string }[] = []
  for (const word of text.split(/[\s,;]+/).filter((one) => one !== '')) {
    const read = readNetwork(word)
    if (typeof read === 'string') {
      faults.push({ text: word, fault: read })
      continue
    }
    const list = read.family === 4 ? v4 : v6
    const isTwice = list.some((one) => sameNetwork(one, word))
    if (isTwice) faults.push({ text: word, fault: 'is in the list twice' })
    else list.push(read.cidr)
  }
  return { v4, v6, faults }
}

interface Network {
  readonly family: 4 | 6
  readonly value: bigint
  readonly bits: number
  readonly cidr: string
}

/** What is wrong, in words that go on after the text itself; else the network. */
function readNetwork(text: string): Network | string {
  const [address = '', bitsText, ...more] = text.split('/')
  if (more.length > 0) return 'has more than one “/”'
  const family = address.includes(':') ? 6 : 4
  const value = family === 6 ? readV6(address) : readV4(address)
  if (value === null) return `is no IPv${family} address`
  if (family === 6 && value >> 32n === 0xffffn) return 'is IPv4 in IPv6 form: write it as IPv4'
  const width = family === 6 ? 128 : 32
  if (bitsText !== undefined && !/^(0|[1-9]\d{0,2})$/.test(bitsText)) {
    return `needs a number from 0 to ${width} behind “/”`
  }
  const bits = bitsText === undefined ? width : Number(bitsText)
  if (bits > width) return `needs a number from 0 to ${width} behind “/”`
  const hostBits = BigInt(width - bits)
  const start = (value >> hostBits) << hostBits
  if (start !== value) {
    const meant = family === 6 ? writeV6(start) : writeV4(start)
    return `has host bits set; for the whole range write ${meant}/${bits}`
  }
  return { family, value, bits, cidr: `${address}/${bits}` }
}

function sameNetwork(one: string, other: string): boolean {
  const a = readNetwork(one)
  const b = readNetwork(other)
  return typeof a === 'object' && typeof b === 'object' && a.value === b.value && a.bits === b.bits
}

function readV4(text: string): bigint | null {
  const parts = text.split('.')
  const isWhole =
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part <= 255)
  return isWhole ? parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n) : null
}

function readV6(text: string): bigint | null {
  const tail = /^(.*:)(\d[\d.]*\.[\d.]*)$/.exec(text)
  const v4 = tail === null ? null : readV4(tail[2]!)
  if (tail !== null && v4 === null) return null
  const end = v4 === null ? '' : `${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`
  const halves = (tail === null ? text : `${tail[1]}${end}`).split('::')
  if (halves.length > 2) return null
  const groupsOf = (half: string | undefined) => (half ? half.split(':') : [])
  const before = groupsOf(halves[0])
  const after = groupsOf(halves[1])
  const missing = 8 - before.length - after.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  const groups = [...before, ...Array.from({ length: missing }, () => '0'), ...after]
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null
  return groups.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n)
}

const writeV4 = (value: bigint): string =>
  [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.')

function writeV6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_one, at) =>
    ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16),
  )
  return groups.join(':').replace(/(^|:)0(:0)+($|:)/, '::')
}

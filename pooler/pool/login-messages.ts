// What a server says during login, from message bodies to values. Bodies are foreign: a text without
// its terminator or a number without its bytes reads as null.

export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl-continue'; readonly data: Buffer }
  | { readonly kind: 'sasl-final'; readonly data: Buffer }
  | { readonly kind: 'unsupported'; readonly code: number }

/** Postgres knows two mechanisms, others perhaps ten. */
const mechanismsMax = 32

export function readAuthentication(body: Buffer): AuthenticationRequest | null {
  if (body.length < 4) return null
  const code = body.readInt32BE(0)
  const data = body.subarray(4)
  switch (code) {
    case 0:
      return data.length === 0 ? { kind: 'ok' } : null
    case 3:
      return data.length === 0 ? { kind: 'cleartext' } : null
    case 5:
      return data.length === 4 ? { kind: 'md5', salt: data } : null
    case 10:
      return readMechanisms(data)
    case 11:
      return { kind: 'sasl-continue', data }
    case 12:
      return { kind: 'sasl-final', data }
    default:
      return { kind: 'unsupported', code }
  }
}

/** Names, each with its NUL, and one more NUL. */
function readMechanisms(data: Buffer): AuthenticationRequest | null {
  const mechanisms: string[] = []
  let at = 0
  while (data[at] !== 0) {
    const end = data.indexOf(0, at)
    if (end === -1 || mechanisms.length === mechanismsMax) return null
    mechanisms.push(data.toString('latin1', at, end))
    at = end + 1
  }
  return at === data.length - 1 ? { kind: 'sasl', mechanisms } : null
}

/** Name and value of a ParameterStatus, one character for each byte. */
export function readParameter(body: Buffer): readonly [name: string, value: string] | null {
  const nameEnd = body.indexOf(0)
  const valueEnd = body.indexOf(0, nameEnd + 1)
  if (nameEnd <= 0 || valueEnd !== body.length - 1) return null
  return [body.toString('latin1', 0, nameEnd), body.toString('latin1', nameEnd + 1, valueEnd)]
}

export interface CancelKey {
  readonly processId: number
  readonly secret: Buffer
}

/** Protocol 3.0 has 4 bytes of secret; some servers send more, up to 3.2's 256. */
export function readCancelKey(body: Buffer): CancelKey | null {
  if (body.length < 8 || body.length > 4 + 256) return null
  return { processId: body.readInt32BE(0), secret: Buffer.from(body.subarray(4)) }
}

// The inside of one StartupMessage: name and value pairs, and what of the protocol has to be
// negotiated. Postgres manual, 54.7 "StartupMessage" and 54.2.1. What the names mean is read in
// startup-parameters.ts.
import { isUtf8 } from 'node:buffer'
import { PoolerError } from '../../shared/errors.ts'

/** The newest protocol that is spoken to clients is 3.2. */
export const protocolMinorMax = 2

export interface StartupParameter {
  readonly name: string
  /** As sent: its encoding is judged where its meaning is known. */
  readonly value: Buffer
}

/** What the one NegotiateProtocolVersion message has to say. */
export interface Negotiation {
  readonly minor: number
  readonly unknownOptions: readonly string[]
}

export interface StartupPacket {
  /** The minor version in force: what was asked, at most `protocolMinorMax`. */
  readonly minor: number
  /** In the order sent, without the `_pq_.` ones; no name is empty. */
  readonly parameters: readonly StartupParameter[]
  readonly negotiate: Negotiation | null
}

/** `body` is the packet behind its version. Throws ESTARTUPMESSAGE. */
export function readStartupPacket(askedMinor: number, body: Buffer): StartupPacket {
  const minor = Math.min(askedMinor, protocolMinorMax)
  const parameters: StartupParameter[] = []
  const unknownOptions: string[] = []
  for (const parameter of readPairs(body)) {
    if (parameter.name.startsWith('_pq_.')) unknownOptions.push(parameter.name)
    else parameters.push(parameter)
  }
  const isNegotiated = askedMinor > protocolMinorMax || unknownOptions.length > 0
  return { minor, parameters, negotiate: isNegotiated ? { minor, unknownOptions } : null }
}

/**
 *     name NUL value NUL … name NUL value NUL NUL
 *
 * An empty name is the end, and nothing may stand behind it, so no name or value can hide a NUL.
 */
function readPairs(body: Buffer): StartupParameter[] {
  const pairs: StartupParameter[] = []
  let at = 0
  while (body[at] !== 0) {
    const nameEnd = body.indexOf(0, at)
    const valueEnd = nameEnd === -1 ? -1 : body.indexOf(0, nameEnd + 1)
    if (valueEnd === -1) throw badLayout()
    const name = body.subarray(at, nameEnd)
    if (!isUtf8(name)) {
      throw new PoolerError('ESTARTUPMESSAGE', {
        values: { reason: 'a parameter name is not valid UTF-8' },
      })
    }
    pairs.push({ name: name.toString('utf8'), value: body.subarray(nameEnd + 1, valueEnd) })
    at = valueEnd + 1
  }
  if (at !== body.length - 1) throw badLayout()
  return pairs
}

function badLayout(): PoolerError {
  return new PoolerError('ESTARTUPMESSAGE', {
    values: { reason: 'parameters are not pairs of strings with one terminator as last byte' },
  })
}

// Messages about prepared statements as they are written to servers.
import { Buffer } from 'node:buffer'
import { PoolerError } from '../../shared/errors.ts'
import { encodeError } from '../../shared/protocol/error-response.ts'
import { frontend, headerBytes } from '../../shared/protocol/message-types.ts'
import { MessageWriter } from '../../shared/protocol/message-writer.ts'
import { nameBytesMax, statementNameBytesMax } from '../config/limits.ts'

export interface StatementUse {
  readonly type: number
  /** One character for each byte. */
  readonly name: string
  readonly beforeName: Buffer
  readonly bodyBytes: number
}

/** Bytes that stand for a message's header and the first `bodyBytes` of its body. */
export interface Substitute {
  readonly head: Buffer
  readonly bodyBytes: number
}

/** Postgres tells names apart by so much of them, and never cuts them in its words. */
export const statementKey = (name: string): string =>
  name.length <= nameBytesMax ? name : name.slice(0, nameBytesMax)

/** Of a Parse behind the name: an empty text, and no types. */
export const noContent = Buffer.alloc(3)

/** `content`: the body of Parse behind the name. */
export const parseMessage = (name: string, content: Buffer): Buffer =>
  new MessageWriter().begin(frontend.parse).cstring(name).bytes(content).end().take()

export const closeMessage = (name: string): Buffer =>
  new MessageWriter().begin(frontend.close).byte(0x53).cstring(name).end().take()

export const describeMessage = (name: string): Buffer =>
  new MessageWriter().begin(frontend.describe).byte(0x53).cstring(name).end().take()

/** A whole Parse from its body. */
export const parseOf = (body: Buffer): Buffer =>
  new MessageWriter().begin(frontend.parse).bytes(body).end().take()

/**
 * Header, what stands before the name, and the name, of a message with `restBytes` behind them.
 * `name` has one character for each byte.
 */
export function headOf(type: number, beforeName: Buffer, name: string, restBytes: number): Buffer {
  const nameAt = headerBytes + beforeName.length
  const head = Buffer.allocUnsafe(nameAt + name.length + 1)
  head[0] = type
  head.writeUInt32BE(head.length - 1 + restBytes, 1)
  beforeName.copy(head, headerBytes)
  head.write(name, nameAt, 'latin1')
  head[head.length - 1] = 0
  return head
}

/** Fails on every server, also in a failed transaction, and leaves nothing behind. */
export const unparsable = parseMessage('', Buffer.from('latchkey: over a limit\0\0\0', 'latin1'))

export const limitReached = (limit: number): PoolerError =>
  new PoolerError('EPREPAREDLIMIT', { values: { limit } })

/** As Postgres says it: some drivers know it by its words, others by where it was raised. */
export const stalePlan = encodeError({
  severity: 'ERROR',
  sqlState: '0A000',
  message: 'cached plan must not change result type',
  detail: null,
  hint: null,
  routine: 'RevalidateCachedQuery',
})

export const nameTooLong = new PoolerError('ENAMETOOLONG', {
  values: { limit: statementNameBytesMax },
})

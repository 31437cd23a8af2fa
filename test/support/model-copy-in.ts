// COPY ... FROM STDIN of a model session, after src/backend/commands/copyfromparse.c: Sync and Flush
// are ignored, and what is no copy message costs the connection.

import { invalidInteger } from './model-rows.ts'
import type { ModelEvent, ModelWant } from './model-session.ts'
import { ModelError } from './model-statements.ts'
import * as raw from './raw-messages.ts'
import { cstringsOf } from './raw-replies.ts'

/** Reads to the end of the data; gives the command tag. `send` takes an error before a FATAL. */
export function* copyIn(send: (reply: Buffer) => void): Generator<ModelWant, string, ModelEvent> {
  let line = ''
  let rows = 0
  for (;;) {
    const event = yield { kind: 'copyData' }
    if (event === 'woken') continue
    if (event === 'cancel') {
      throw new ModelError('57014', 'canceling statement due to user request')
    }
    if (event === 'end') {
      const text = 'unexpected EOF on client connection with an open transaction'
      throw lostSync(send, '08006', text)
    }
    const { type, body } = event
    if (type === 'H' || type === 'S') continue
    if (type === 'f') {
      throw new ModelError('57014', `COPY from stdin failed: ${cstringsOf(body)[0]}`)
    }
    if (type !== 'd' && type !== 'c') {
      const code = type.charCodeAt(0).toString(16).toUpperCase()
      throw lostSync(send, '08P01', `unexpected message type 0x${code} during COPY from stdin`)
    }
    line += type === 'd' ? body.toString('latin1') : line === '' ? '' : '\n'
    const lines = line.split('\n')
    line = lines.pop() ?? ''
    for (const text of lines) checkLine(text)
    rows += lines.length
    if (type === 'c') return `COPY ${rows}`
  }
}

/** An error in the middle of reading a message, which Postgres follows with a FATAL. */
function lostSync(send: (reply: Buffer) => void, sqlState: string, text: string): ModelError {
  send(raw.postgresError('ERROR', sqlState, text))
  const fatal = 'terminating connection because protocol synchronization was lost'
  return new ModelError('08P01', fatal, 'FATAL')
}

function checkLine(line: string): void {
  const [, number, ...more] = line.split('\t')
  if (number === undefined) throw new ModelError('22P04', 'missing data for column "n"')
  if (more.length > 0) throw new ModelError('22P04', 'extra data after last expected column')
  if (!/^\s*-?\d+\s*$/.test(number)) throw invalidInteger(number)
}

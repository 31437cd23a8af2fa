// LISTEN and UNLISTEN of channels that are given as their bytes, one character each. The bytes are in
// the server's encoding; so must be what the server takes from this connection.
import { frontend } from '../../shared/protocol/message-types.ts'
import { MessageWriter } from '../../shared/protocol/message-writer.ts'

/** One simple Query, in one transaction. */
export function listenStatement(listen: Iterable<string>, unlisten: Iterable<string>): Buffer {
  const statements: string[] = []
  for (const channel of listen) statements.push(`LISTEN ${quoted(channel)}`)
  for (const channel of unlisten) statements.push(`UNLISTEN ${quoted(channel)}`)
  const sql = Buffer.from(statements.join(';'), 'latin1')
  return new MessageWriter().begin(frontend.query).cstring(sql).end().take()
}

/** No server encoding has a quote as part of a longer character. */
const quoted = (channel: string): string => `"${channel.replaceAll('"', '""')}"`

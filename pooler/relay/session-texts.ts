// Of a session that has its server for itself a text matters where it may take the client's startup settings, which
// are put in place before what comes behind it.
import { frontend, headerBytes } from '../../shared/protocol/message-types.ts'
import type { ClientPump } from './client-pump.ts'
import type { SessionRestorer } from './session-restorer.ts'
import { lookedAtBytesMax, verdictOfBytes } from './text-verdict.ts'
import type { Verdict } from './verdicts.ts'

/** The verdict where more of the message is wanted; null: it goes on. */
export function judgeUnset(message: ClientPump, restorer: SessionRestorer): Verdict | null {
  const { type, bodyBytes, chunk, at } = message
  if (type !== frontend.query && type !== frontend.parse) return null
  if (!restorer.hasStartup || bodyBytes > lookedAtBytesMax) return null
  const end = at + bodyBytes
  if (end > chunk.length) return message.wait(headerBytes + bodyBytes)
  // A Parse has its name in front, and types behind.
  const from = type === frontend.parse ? chunk.indexOf(0, at) + 1 : at
  const textEnd = chunk.indexOf(0, from)
  if (from > at - 1 && textEnd !== -1 && textEnd < end)
    restorer.onText(verdictOfBytes(chunk, from, textEnd))
  return null
}

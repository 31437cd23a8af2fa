import { backend, frontend } from '../../shared/protocol/message-types.ts'

const parseComplete = Buffer.from([backend.parseComplete, 0, 0, 0, 4])
const closeComplete = Buffer.from([backend.closeComplete, 0, 0, 0, 4])

/** Our answers to Parse and Close messages that were not sent. */
export function answersTo(types: readonly number[]): Buffer {
  if (types.length === 1) return answerTo(types[0] as number)
  return Buffer.concat(types.map(answerTo))
}

const answerTo = (type: number): Buffer => (type === frontend.parse ? parseComplete : closeComplete)

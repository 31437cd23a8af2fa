import { backend, frontend } from '../../shared/protocol/message-types.ts'

const parseComplete = Buffer.from([backend.parseComplete, 0, 0, 0, 4])
const closeComplete = Buffer.from([backend.closeComplete, 0, 0, 0, 4])

/** Our answer to a Parse or Close that was not sent. */
export const answerTo = (type: number): Buffer =>
  type === frontend.parse ? parseComplete : closeComplete

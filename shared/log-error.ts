// How an error looks in the log: its name, code and text, and those of its causes. Own properties
// are left out, since drivers hang queries, values and whole buffers on their errors.
import { PoolerError } from './errors.ts'

export interface LoggedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly detail?: string
  readonly stack?: string
  readonly cause?: LoggedError
}

/** A chain longer than this is a loop or of no use to the reader. */
const causesMax = 5

export function serializeError(error: unknown, causesLeft = causesMax): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) }
  const code = (error as { code?: unknown }).code
  const isOperating = error instanceof PoolerError
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' && { code }),
    ...(isOperating && error.detail !== null && { detail: error.detail }),
    // An operating error's place in our code tells its reader nothing.
    ...(!isOperating && error.stack !== undefined && { stack: framesOf(error.stack) }),
    ...(error.cause !== undefined &&
      causesLeft > 0 && { cause: serializeError(error.cause, causesLeft - 1) }),
  }
}

/** The frames alone: the text in front of them is in `message` already. */
function framesOf(stack: string): string {
  const firstFrame = stack.indexOf('\n    at ')
  return firstFrame < 0 ? '' : stack.slice(firstFrame)
}

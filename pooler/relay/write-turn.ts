// A turn is one call from the event loop into a reader: what it writes to one destination, however
// many pieces, leaves at its end in one system call (with TLS in one record).
import { isKeptInLane, takeKept } from './lanes.ts'
import type { TransportReader } from './transport.ts'

interface Writer {
  /** Gives to the kernel what was written during the turn. */
  flush(): void
}

const waiting: Writer[] = []
let isOpen = false

export const isTurnOpen = (): boolean => isOpen

/** Of a writer that has not been flushed since its first write of this turn. */
export function flushAtTurnEnd(writer: Writer): void {
  waiting.push(writer)
}

export function tellData(reader: TransportReader, chunk: Buffer): void {
  const { lane } = reader
  const kept = takeKept(reader)
  if (kept !== null) run(reader, kept)
  else if (lane !== undefined && isKeptInLane(lane, reader, chunk, run)) return
  run(reader, chunk)
}

function run(reader: TransportReader, chunk: Buffer): void {
  const isOutermost = begin()
  try {
    reader.onTransportData(chunk)
  } catch (error) {
    reader.onTransportFault(error)
  } finally {
    if (isOutermost) end()
  }
}

export function tellDrain(reader: TransportReader): void {
  const isOutermost = begin()
  try {
    reader.onTransportDrain()
  } catch (error) {
    reader.onTransportFault(error)
  } finally {
    if (isOutermost) end()
  }
}

export function tellClosed(reader: TransportReader, cause: Error | null): void {
  const kept = takeKept(reader)
  if (kept !== null) run(reader, kept)
  const isOutermost = begin()
  try {
    reader.onTransportClosed(cause)
  } catch (error) {
    reader.onTransportFault(error)
  } finally {
    if (isOutermost) end()
  }
}

/** False within another turn, whose end is the end of both. */
function begin(): boolean {
  if (isOpen) return false
  isOpen = true
  return true
}

function end(): void {
  try {
    for (let index = 0; index < waiting.length; index++) (waiting[index] as Writer).flush()
  } finally {
    waiting.length = 0
    isOpen = false
  }
}

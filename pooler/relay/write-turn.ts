// A turn is one round of the event loop: whatever has come on any socket is read first, then what was
// written to each destination leaves, however many pieces, in one system call (with TLS in one
// record). Reading and writing by turns for each socket costs a tenth more: see DECISIONS.md, "A round is
// read before it is answered".
//
//   poll:   read A → read B → … → read P → flush 16 → read Q → …
//   check:  what waits in lanes (lanes.ts) → flush the rest
//
// Who comes alone beside a busy project does not wait for the rest of the round: what it writes leaves at once.
import { isAlone, isFirstAmongOthers, isKeptInLane, takeKept, takeLateTurns } from './lanes.ts'
import type { TransportReader } from './transport.ts'

interface Writer {
  /** Gives to the kernel what was written during the turn. */
  flush(): void
  destroy(cause: Error): void
}

/** So many are not kept waiting for whoever else is read in this round. */
const writersMax = 16

/** Filled up to `waitingCount`; its length is not touched, because setting it costs a call into V8. */
const waiting: (Writer | null)[] = []
let waitingCount = 0
let isReading = false
let isEndDue = false

/** Something of the round is being read: what is written leaves at the turn's end. */
export const isTurnOpen = (): boolean => isReading

/** Of a writer that has not been flushed since its first write of this turn. */
export function flushAtTurnEnd(writer: Writer): void {
  waiting[waitingCount++] = writer
}

/** The turn ends for those that wait. */
export function flushWaiting(): void {
  for (let index = 0; index < waitingCount; index++) flushOne(index)
  waitingCount = 0
}

/** For those alone that came behind the first `count`: they do not wait for the others' work. */
function flushBackTo(count: number): void {
  while (waitingCount > count) flushOne(--waitingCount)
}

function flushOne(index: number): void {
  const writer = waiting[index] as Writer
  waiting[index] = null
  try {
    writer.flush()
  } catch (error) {
    // The others are to have theirs.
    writer.destroy(error as Error)
  }
}

export function tellData(reader: TransportReader, chunk: Buffer): void {
  const { lane } = reader
  const kept = takeKept(reader)
  if (kept !== null) run(reader, kept)
  else if (lane !== undefined && !isAlone(lane)) {
    endLater()
    if (isKeptInLane(lane, reader, chunk)) return
    if (!isReading && isFirstAmongOthers(lane)) {
      const before = waitingCount
      run(reader, chunk)
      flushBackTo(before)
      return
    }
  }
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

/** The other end says no more. True: our own end stays open, because its last words are still to be answered. */
export function tellEnd(reader: TransportReader): boolean {
  const kept = takeKept(reader)
  if (kept !== null) run(reader, kept)
  return reader.isLeaving === true
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

/** False within the reading of another. */
function begin(): boolean {
  if (isReading) return false
  isReading = true
  return true
}

function end(): void {
  isReading = false
  if (waitingCount >= writersMax) flushWaiting()
  else if (waitingCount > 0) endLater()
}

function endLater(): void {
  if (isEndDue) return
  isEndDue = true
  setImmediate(onRoundEnd)
}

function onRoundEnd(): void {
  let isMoreLate = true
  try {
    isMoreLate = takeLateTurns(run)
  } finally {
    flushWaiting()
    isEndDue = false
    if (isMoreLate) endLater()
  }
}

// Whose turn it is when many sockets are ready at once. One look of the event loop may find hundreds
// of a busy project in front of a neighbour's single one. Each project has a lane: a few of its turns
// are taken as they come; what comes beyond them is read, kept, and taken a few at a time, lane by
// lane, with a look for ready sockets in between. To its reader what is kept has not come yet.
//
// Measured beside 5,000 busy clients, and what it costs: see DECISIONS.md, "Lanes".
import { Buffer } from 'node:buffer'
import type { TransportReader } from './transport.ts'

/** Of one lane, as they come, between two looks. */
const turnsAtOnceMax = 4
/** Of all lanes together, of what was kept, between two looks. */
const lateTurnsMax = 4
/** What is larger is bulk data, and is taken as it comes: a copy would cost more than the turn. */
const keptBytesMax = 4096
/** After so many turns of one lane in a row nothing is kept, until another lane shows itself. */
const turnsAloneMin = 1_000_000

/** Of a reader that stands in its lane and has been told by now what was kept for it. */
const told = Buffer.alloc(0)

export class Lane {
  /** Taken as they came since the last look. */
  turns = 0
  #waiting: TransportReader[] = []
  #next = 0

  get isEmpty(): boolean {
    return this.#next === this.#waiting.length
  }

  push(reader: TransportReader): void {
    this.#waiting.push(reader)
  }

  /** Who came first of those that wait. */
  take(): TransportReader {
    const reader = this.#waiting[this.#next++] as TransportReader
    if (this.isEmpty) {
      this.#waiting = []
      this.#next = 0
    }
    return reader
  }
}

/** Lanes with turns since the last look. */
const used: Lane[] = []
/** Lanes in which somebody waits; the next one is the first. */
const late: Lane[] = []
let lastLane: Lane | null = null
/** In a row, of `lastLane`. */
let lastTurns = 0

/**
 * True when `chunk` is kept, and `takeLateTurns` will come to it. Only while nothing of `reader` is, and
 * not for a lane that is alone.
 */
export function isKeptInLane(lane: Lane, reader: TransportReader, chunk: Buffer): boolean {
  if (lane.isEmpty && lane.turns < turnsAtOnceMax) {
    if (lane.turns === 0) used.push(lane)
    lane.turns++
    return false
  }
  if (chunk.length > keptBytesMax) return false
  if (lane.isEmpty) late.push(lane)
  if (reader.late == null) lane.push(reader)
  reader.late = Buffer.from(chunk)
  return true
}

/** Of a lane that has just been let pass: it is its first turn since the last look, and others had theirs. */
export const isFirstAmongOthers = (lane: Lane): boolean =>
  lane.turns === 1 && (used.length > 1 || late.length > 0)

/** What is kept for a reader, which goes before anything else that it is told. */
export function takeKept(reader: TransportReader): Buffer | null {
  const { late } = reader
  if (late == null || late === told) return null
  reader.late = told
  return late
}

/** Asked once for each turn: nobody else has had one for long, so there is nobody to wait for. */
export function isAlone(lane: Lane): boolean {
  if (lane !== lastLane) {
    // The first one of all has nobody beside it yet.
    lastTurns = lastLane === null ? turnsAloneMin : 0
    lastLane = lane
  }
  if (lastTurns === turnsAloneMin) return lane.isEmpty
  lastTurns++
  return false
}

/** Before the event loop looks again: `run` is called for some that wait. True while more do. */
export function takeLateTurns(run: (reader: TransportReader, chunk: Buffer) => void): boolean {
  if (used.length > 0) {
    for (const lane of used) lane.turns = 0
    used.length = 0
  }
  for (let left = lateTurnsMax; left > 0 && late.length > 0; ) {
    const lane = late.shift() as Lane
    const reader = lane.take()
    if (!lane.isEmpty) late.push(lane)
    const chunk = takeKept(reader)
    reader.late = null
    if (chunk === null) continue
    left--
    run(reader, chunk)
  }
  return late.length > 0
}

// Runs a generated pipeline against any server that speaks the protocol, Postgres itself or what
// stands in front of one, and holds the replies against those that the pipeline says are owed.

import type { Pipeline, Turn } from './pipeline-generator.ts'
import type { RawClient } from './raw-client.ts'
import type { RawMessage } from './raw-messages.ts'
import { assertSameReplies, batchesOf, refusedAlike } from './reply-comparison.ts'
import type { SeededRandom } from './seeded-random.ts'
import { randomPieces, type Segmentation, whole } from './segments.ts'

export interface DriveOptions {
  /** Leaves replies out of the comparison, on both sides: what the path to the server may add. */
  readonly isIgnored?: (reply: RawMessage) => boolean
  readonly segmentation?: Segmentation
  /** Statements are brought along from server to server (see refusedAlike). */
  readonly bringsStatements?: boolean
}

/**
 * Sends turn by turn, each when the replies of the one before are all there, and throws at the first
 * difference. `client` is logged in. Afterwards nothing is pending, and the client is still there
 * unless the pipeline was a fatal one.
 */
export async function drivePipeline(
  client: RawClient,
  pipeline: Pipeline,
  options: DriveOptions = {},
): Promise<void> {
  for (const [index, turn] of pipeline.turns.entries()) {
    const name = `turn ${index + 1} of ${pipeline.turns.length}`
    await client.send(turn.bytes, options.segmentation)
    const replies = await readTurn(client, turn, options)
    const expected = expectedOf(turn, options)
    const seen = options.bringsStatements === true ? refusedAlike(replies, expected) : replies
    assertSameReplies(seen, expected, `${name}: ${turn.letters}${told(turn)}`)
  }
  if (pipeline.isFatal) {
    const rest = await client.readAll()
    assertSameReplies(rest, [], 'after the FATAL that ends the pipeline')
  }
}

/** How a client goes away. `cut`: in the middle of the bytes of its last turn. */
export type Leaving = 'terminate' | 'terminateAtOnce' | 'fin' | 'reset' | 'cut'

/**
 * Runs a pipeline and leaves in the given way. `terminateAtOnce` sends Terminate behind the last
 * turn without waiting for its replies; `cut` ends the connection behind any byte of that turn.
 */
export async function driveAndLeave(
  client: RawClient,
  pipeline: Pipeline,
  leaving: Leaving,
  random: SeededRandom,
  options: DriveOptions = {},
): Promise<void> {
  const waits = leaving !== 'terminateAtOnce' && leaving !== 'cut'
  const turns = waits ? pipeline.turns : pipeline.turns.slice(0, -1)
  const isFatal = waits && pipeline.isFatal
  await drivePipeline(client, { turns, isFatal }, options)
  const last = waits ? null : (pipeline.turns.at(-1) ?? null)
  if (last !== null) {
    const end = leaving === 'cut' ? random.int(last.bytes.length) : last.bytes.length
    await client.send(last.bytes.subarray(0, end), options.segmentation)
  }
  if (leaving === 'terminate' || leaving === 'terminateAtOnce') await client.terminate()
  if (leaving === 'fin') client.halfClose()
  if (leaving === 'reset' || (leaving === 'cut' && random.chance(0.5))) client.reset()
  else if (leaving === 'cut') client.halfClose()
  if (client.end === 'open') await client.readAll()
  client.close()
}

/** Whole, byte by byte or in random pieces: as chance has it. */
export function anySegmentation(random: SeededRandom): Segmentation {
  const kind = random.weighted({ whole: 2, bytes: 1, small: 2, large: 2 })
  if (kind === 'whole') return whole
  if (kind === 'bytes') return { kind: 'bytes' }
  return randomPieces(random.fork(), kind === 'small' ? 8 : 200)
}

const expectedOf = (turn: Turn, { isIgnored }: DriveOptions): RawMessage[] =>
  turn.replies.filter((reply) => isIgnored?.(reply) !== true)

/** As many replies as are owed, and those that came with them; fewer when none comes any more. */
async function readTurn(
  client: RawClient,
  turn: Turn,
  options: DriveOptions,
): Promise<RawMessage[]> {
  const wanted = expectedOf(turn, options)
  const replies: RawMessage[] = []
  while (!areAll(replies, wanted, options)) {
    const reply = await client.next().catch(() => null)
    if (reply === null) break
    if (options.isIgnored?.(reply) !== true) replies.push(reply)
  }
  return replies
}

/** By number, and where batches may fail earlier than expected by their ends. */
function areAll(
  replies: readonly RawMessage[],
  wanted: readonly RawMessage[],
  { bringsStatements = false }: DriveOptions,
): boolean {
  if (!bringsStatements) return replies.length >= wanted.length
  const batches = batchesOf(replies)
  const wantedBatches = batchesOf(wanted)
  const rest = wantedBatches.at(-1) ?? []
  return batches.length === wantedBatches.length && (batches.at(-1) ?? []).length >= rest.length
}

/** The messages of a turn as lines, for failure texts. */
function told({ bytes }: Turn): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readInt32BE(at + 1)
    const body = bytes.toString('latin1', at + 5, at + 1 + length)
    const printable = [...body].map((letter) => (letter < ' ' ? '.' : letter)).join('')
    lines.push(`    ${bytes.toString('latin1', at, at + 1)} ${printable.slice(0, 120)}`)
    at += 1 + length
  }
  return `\n${lines.join('\n')}`
}

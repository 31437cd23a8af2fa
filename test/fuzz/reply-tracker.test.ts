// The reply tracker against the model of a Postgres backend, without sockets: random conversations,
// the server any number of messages behind. Whenever the tracker says that the server may go to
// another client the model must be at rest, and when all is answered the tracker must say so.
import { expect, test } from 'vitest'
import { ReplyTracker } from '../../pooler/relay/reply-tracker.ts'
import { ModelSession } from '../support/model-session.ts'
import { generatePipeline, type PipelineFeatures } from '../support/pipeline-generator.ts'
import { MessageCutter } from '../support/raw-replies.ts'
import { freshSeed, type SeededRandom, withSeed } from '../support/seeded-random.ts'

const budgetMs = Number(process.env.FUZZ_MS ?? 5000)
const strayEnds: Partial<PipelineFeatures> = { copy: 8, strays: 4, queryInBatch: 3 }

/** A server with messages that it has not read yet, and a tracker in front of it. */
class Tracked {
  readonly tracker = new ReplyTracker()
  readonly log: string[] = []
  readonly #server = new ModelSession()
  readonly #unread: { type: string; body: Buffer }[] = []
  readonly #replies = new MessageCutter()
  releases = 0

  send(message: { type: string; body: Buffer }): void {
    this.log.push(`>${message.type}`)
    expect(this.tracker.sent(message.type.charCodeAt(0))).toBe(true)
    this.#unread.push(message)
    this.look()
  }

  /** The server reads `count` messages; `isFlushed`: its buffer has overflowed and gone out. */
  serve(count: number, isFlushed = false): void {
    for (let left = count; left > 0 && this.#unread.length > 0; left -= 1) {
      const message = this.#unread.shift()
      if (message === undefined) break
      this.#server.receive(message)
      while (this.#server.want.kind === 'sleep') this.#server.wake()
      this.#answer(isFlushed)
    }
  }

  serveAll(): void {
    this.serve(Number.POSITIVE_INFINITY)
  }

  get isQuiet(): boolean {
    return this.#unread.length === 0 && this.#server.isAtRest
  }

  #answer(isFlushed: boolean): void {
    this.#replies.push(this.#server.take(isFlushed))
    for (let reply = this.#replies.next(); reply !== null; reply = this.#replies.next()) {
      const status = reply.type === 'Z' ? reply.body.toString('latin1') : ''
      this.log.push(`<${reply.type}${status}`)
      const isTaken = this.tracker.received(reply.type.charCodeAt(0))
      const isReady = reply.type !== 'Z' || this.tracker.ready(reply.body[0] as number)
      if (!isTaken || !isReady) throw new Error(`not taken: ${this.log.slice(-80).join(' ')}`)
      this.look()
    }
  }

  look(): void {
    if (!this.tracker.isReleasable) return
    this.releases += 1
    // Of what is unread only messages that mean nothing outside of a copy may be left.
    const isIdle = this.#server.isAtRest && this.#unread.every(({ type }) => 'dcfH'.includes(type))
    if (!isIdle) throw new Error(`released too early: ${this.log.slice(-80).join(' ')}`)
  }
}

function converse(random: SeededRandom): { messages: number; releases: number; doubts: number } {
  const pipeline = generatePipeline(random, {
    client: 'c1',
    turns: 1 + random.int(12),
    ...(random.chance(0.5) ? { features: strayEnds } : {}),
  })
  const tracked = new Tracked()
  const cutter = new MessageCutter()
  const lag = random.pick([0, 1, 3, 20])
  let messages = 0
  for (const turn of pipeline.turns) {
    cutter.push(turn.bytes)
    for (let message = cutter.next(); message !== null; message = cutter.next()) {
      messages += 1
      tracked.send(message)
      if (lag === 0) tracked.serve(1)
      else tracked.serve(random.int(lag + 1), random.chance(0.2))
    }
    if (random.chance(0.7)) tracked.serveAll()
  }
  tracked.serveAll()
  const { isReleasable, isBatchOpen, doubt } = tracked.tracker
  const isInDoubt = doubt.isAny
  // A batch in which a Query was answered as idle still waits for its Sync.
  if (tracked.isQuiet && !isReleasable && !isInDoubt && !isBatchOpen) {
    throw new Error(`never released: ${tracked.log.slice(-80).join(' ')}`)
  }
  return { messages, releases: tracked.releases, doubts: isInDoubt ? 1 : 0 }
}

test('the tracker releases a server when the model is at rest, and never before', async () => {
  await withSeed(freshSeed(), (random) => {
    const sums = { conversations: 0, messages: 0, releases: 0, doubts: 0 }
    const endMs = performance.now() + budgetMs
    while (performance.now() < endMs) {
      const { messages, releases, doubts } = converse(random.fork())
      sums.conversations += 1
      sums.messages += messages
      sums.releases += releases
      sums.doubts += doubts
    }
    console.log(`SEED=${random.seed}`, sums)
    expect(sums.releases).toBeGreaterThan(sums.conversations)
    expect(sums.doubts * 4).toBeLessThan(sums.conversations)
  })
})

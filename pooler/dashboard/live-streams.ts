// Keeps the open pages of the dashboard up to date: what a project's pools do, who is in, and word of
// what changed, so that the page asks again. One look at a project serves all of its pages, and with
// no page open nothing is looked at.
import { Readable } from 'node:stream'
import type { Timer } from '../../shared/clock.ts'
import type { ApiDeps, SessionView } from '../api/api-deps.ts'
import { ApiError } from '../api/api-error.ts'
import { liveStreamBytesMax, liveStreamsMax, liveStreamsPerSessionMax } from '../config/limits.ts'
import type { Change } from '../store/change-feed.ts'

export interface LiveViewer {
  /** Whose pages are counted together. */
  readonly sessionKey: string
  readonly userId: string
  readonly ref: string
  /** Where rules, members and state of the project live. */
  readonly rulesRef: string
  /** False: sees own sessions only. */
  readonly seesEverybody: boolean
  readonly seesFigures: boolean
  /** Whether what was allowed at the start still is; rejects when that cannot be found out. */
  isStillGood(): Promise<boolean>
}

interface Stream {
  readonly viewer: LiveViewer
  readonly body: Readable
  /** null: nothing was told yet. */
  last: { readonly sessions: string; readonly eventId: number } | null
}

type LiveDeps = Pick<
  ApiDeps,
  'changes' | 'clock' | 'events' | 'liveSessions' | 'log' | 'projectFigures'
>

const tickMs = 2000
/** Rights are looked at again each so many ticks, and at once where something was announced. */
const recheckEveryTicks = 5

export class LiveStreams {
  readonly #deps: LiveDeps
  readonly #streams = new Set<Stream>()
  readonly #stopListening: () => void
  #ticker: Timer | null = null
  #ticks = 0
  #isLooking = false
  /** Whose rights are to be looked at. */
  readonly #due = new Set<Stream>()
  #isRechecking = false

  constructor(deps: LiveDeps) {
    this.#deps = deps
    this.#stopListening = deps.changes.onChange((change) => this.#onChange(change))
  }

  get size(): number {
    return this.#streams.size
  }

  /** The body of an answer of type text/event-stream. Throws 429. */
  open(viewer: LiveViewer): Readable {
    const ofSession = [...this.#streams].filter(
      (stream) => stream.viewer.sessionKey === viewer.sessionKey,
    )
    if (ofSession.length >= liveStreamsPerSessionMax || this.#streams.size >= liveStreamsMax) {
      throw new ApiError(429, 'too many pages are kept up to date at once; close one')
    }
    const body = new Readable({ read() {} })
    const stream: Stream = { viewer, body, last: null }
    body.once('close', () => this.#forget(stream))
    this.#streams.add(stream)
    this.#ticker ??= this.#deps.clock.every(tickMs, () => void this.#onTick())
    // How long the browser waits before it comes again.
    body.push('retry: 2000\n\n')
    void this.#look(viewer.ref)
    return body
  }

  close(): void {
    this.#stopListening()
    for (const stream of this.#streams) this.#end(stream)
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    this.#ticker?.cancel()
    this.#ticker = null
  }

  #end(stream: Stream): void {
    this.#forget(stream)
    stream.body.push(null)
  }

  async #onTick(): Promise<void> {
    // A look that takes longer than a tick is not joined by a second one.
    if (this.#isLooking) return
    this.#isLooking = true
    this.#ticks += 1
    try {
      if (this.#ticks % recheckEveryTicks === 0) await this.#recheck([...this.#streams])
      for (const ref of new Set([...this.#streams].map(({ viewer }) => viewer.ref))) {
        await this.#look(ref)
      }
    } finally {
      this.#isLooking = false
    }
  }

  async #look(ref: string): Promise<void> {
    const { clock, events, liveSessions, log, projectFigures } = this.#deps
    try {
      const [sessions, { events: newest }, sums] = await Promise.all([
        liveSessions.list(ref),
        events.query({ ref, limit: 1 }),
        projectFigures(ref),
      ])
      const figures = { at: clock.wallMs(), ...sums }
      const eventId = newest[0]?.id ?? 0
      for (const stream of this.#streams) {
        if (stream.viewer.ref !== ref) continue
        if (stream.viewer.seesFigures) this.#send(stream, 'figures', figures)
        else this.#send(stream, 'beat', {})
        const { last } = stream
        stream.last = { sessions: sessionsText(stream.viewer, sessions), eventId }
        // The page's first answers are older than its stream, or as old as the one that broke.
        if (last === null) this.#sendChanged(stream, 'everything')
        else {
          if (last.sessions !== stream.last.sessions) this.#sendChanged(stream, 'sessions')
          if (last.eventId !== eventId) this.#sendChanged(stream, 'record')
        }
      }
    } catch (error) {
      log.warn({ err: error, project: ref }, 'open pages could not be brought up to date')
    }
  }

  #onChange(change: Change): void {
    const { concerned, what } = concernOf(change)
    const streams = [...this.#streams].filter(({ viewer }) => concerned(viewer))
    for (const stream of streams) if (what !== null) this.#sendChanged(stream, what)
    if (change.kind !== 'rule' && change.kind !== 'session-end') void this.#recheck(streams)
  }

  /** One after the other, each once however often it was asked for meanwhile. */
  async #recheck(streams: readonly Stream[]): Promise<void> {
    for (const stream of streams) this.#due.add(stream)
    if (this.#isRechecking) return
    this.#isRechecking = true
    for (const stream of this.#due) {
      this.#due.delete(stream)
      try {
        if (!(await stream.viewer.isStillGood())) this.#end(stream)
      } catch (error) {
        // Not known is not allowed.
        this.#deps.log.warn({ err: error }, 'the right to a live page could not be asked')
        this.#end(stream)
      }
    }
    this.#isRechecking = false
  }

  /** The page asks for it itself; what is sent is only that there is something new. */
  #sendChanged(stream: Stream, what: string): void {
    this.#send(stream, 'changed', { what })
  }

  #send(stream: Stream, event: string, data: object): void {
    const { body } = stream
    if (body.destroyed || body.readableEnded) return
    body.push(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    if (body.readableLength > liveStreamBytesMax) body.destroy()
  }
}

function sessionsText(viewer: LiveViewer, sessions: readonly SessionView[]): string {
  const { seesEverybody, userId } = viewer
  const seen = seesEverybody ? sessions : sessions.filter((one) => one.userId === userId)
  return seen.map(({ sessionId, endsAtMs }) => `${sessionId} ${endsAtMs}`).join('\n')
}

interface Concern {
  readonly concerned: (viewer: LiveViewer) => boolean
  /** null: the page has nothing to ask anew. */
  readonly what: string | null
}

function concernOf(change: Change): Concern {
  switch (change.kind) {
    case 'rule':
      return { concerned: ({ rulesRef }) => rulesRef === change.ref, what: 'rules' }
    case 'membership':
      return { concerned: ({ rulesRef }) => rulesRef === change.ref, what: 'members' }
    case 'tenant':
      return {
        concerned: ({ ref, rulesRef }) => ref === change.ref || rulesRef === change.ref,
        what: 'project',
      }
    case 'session-end':
      return { concerned: ({ ref }) => ref === change.ref, what: 'sessions' }
    case 'reread-all':
      return { concerned: () => true, what: 'everything' }
    // Whose token it is the change does not say.
    case 'token':
      return { concerned: () => true, what: null }
    case 'member':
      return { concerned: () => true, what: 'members' }
  }
}

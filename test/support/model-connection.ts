// One connection of the model server: start-up, then a model session whose replies go out in random
// pieces, some of them late. Messages are read on while replies wait, as a kernel's buffer would
// take them, so that the auditor sees one that came too early.

import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type AuditedServer, copyTypes, type ModelAuditor } from './model-auditor.ts'
import { ModelSession } from './model-session.ts'
import type { StatementReader } from './model-statements.ts'
import * as raw from './raw-messages.ts'
import { cstringsOf, MessageCutter } from './raw-replies.ts'
import type { SeededRandom } from './seeded-random.ts'
import { randomPieces, whole, writeSegments } from './segments.ts'

export interface ModelBehaviour {
  readonly random: SeededRandom
  readonly auditor: ModelAuditor
  /** Replies are cut into pieces of 1 to so many bytes; 0: one write each. */
  readonly pieceBytesMax: number
  /** How often, 0 to 1, the end of a reply comes up to `lateMs` later than its beginning. */
  readonly lateChance: number
  readonly lateMs: number
  readonly reported: ReadonlyMap<string, string>
  readonly readOther: StatementReader
  /** Fields of a FATAL that new connections get, null to let them in. */
  refusal(): Record<string, string> | null
  /** Ends what the connection with this key runs. */
  cancel(processId: number, secret: Buffer): Promise<void>
}

/** Messages read ahead of the session, at most; then the socket is not read. */
const queueMax = 1000
const cancelCode = 80877102
const encryptionCodes = [80877103, 80877104]

export class ModelConnection {
  readonly processId: number
  readonly secret: Buffer = randomBytes(4)
  /** Pairs of the startup message; empty before it. */
  readonly startup = new Map<string, string>()
  /** Resolves when the backend has gone and its place is free. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #behaviour: ModelBehaviour
  readonly #cutter = new MessageCutter()
  readonly #queue: raw.RawMessage[] = []
  #session: ModelSession | null = null
  #audited: AuditedServer | null = null
  #isWorking = false
  #isStalled = false
  #hasEnded = false
  #hasLeft = false
  #onLeft: () => void = () => {}
  #interruptSleep: () => void = () => {}

  constructor(socket: Socket, processId: number, behaviour: ModelBehaviour) {
    this.#socket = socket
    this.processId = processId
    this.#behaviour = behaviour
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('end', () => {
      this.#hasEnded = true
      this.#kick()
    })
    this.closed = new Promise((resolve) => {
      this.#onLeft = resolve
    })
    socket.on('close', () => {
      if (!this.#isWorking) this.#leave()
    })
  }

  /** As long as the backend lives: a client that is gone does not end what runs. */
  get isLoggedIn(): boolean {
    return this.#session !== null && !this.#hasLeft
  }

  get status(): raw.TransactionStatus {
    return this.#session?.status ?? 'I'
  }

  /** Nothing read that is not answered, and the answers are written. */
  get isQuiet(): boolean {
    return !this.#isWorking && this.#queue.length === 0
  }

  /** A FATAL and the end, as when an administrator ends a backend; in one piece behind `replies`. */
  terminate(
    sqlState = '57P01',
    text = 'terminating connection due to administrator command',
    replies = Buffer.alloc(0),
  ): void {
    this.#socket.end(Buffer.concat([replies, raw.postgresError('FATAL', sqlState, text)]))
    this.#socket.destroySoon()
  }

  /** The end without a word: FIN, or RST. */
  drop(isReset = false): void {
    if (isReset) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }

  /** Anything at any moment: notices, parameter changes, broken messages. */
  inject(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Answers nothing until `resume`; messages are still read. */
  stall(): void {
    this.#isStalled = true
  }

  resume(): void {
    this.#isStalled = false
    this.#kick()
  }

  /** As SIGINT. */
  interrupt(): void {
    const kind = this.#session?.want.kind
    if (!this.isLoggedIn || this.#audited === null) return
    if (kind !== 'sleep' && kind !== 'copyData') return
    this.#behaviour.auditor.cancelledWork(this.#audited)
    this.#session?.cancel()
    this.#interruptSleep()
    this.#kick()
  }

  #onData(chunk: Buffer): void {
    if (this.#hasLeft) return
    this.#cutter.push(chunk)
    for (;;) {
      const message = this.#cutter.next(this.#session !== null)
      if (message === null) break
      if (this.#session === null) this.#startUp(message.body)
      else {
        if (this.#audited !== null) {
          if (!this.#isWorking) this.#noteRest(this.#session, this.#audited)
          this.#behaviour.auditor.arrived(this.#audited, message.type, message.body)
        }
        this.#queue.push(message)
      }
    }
    if (this.#queue.length > queueMax) this.#socket.pause()
    this.#kick()
  }

  #startUp(body: Buffer): void {
    const code = body.length < 4 ? 0 : body.readInt32BE(0)
    if (code === 0) {
      this.drop()
      return
    }
    if (encryptionCodes.includes(code)) {
      this.#socket.write('N')
      return
    }
    if (code === cancelCode) {
      const done = this.#behaviour.cancel(body.readInt32BE(4), body.subarray(8))
      void done.then(() => this.#socket.end())
      return
    }
    const refusal = this.#behaviour.refusal()
    if (refusal !== null) {
      this.#socket.end(raw.errorResponse(refusal))
      return
    }
    const texts = cstringsOf(body.subarray(4))
    for (let at = 0; at + 1 < texts.length; at += 2) {
      this.startup.set(texts[at] as string, texts[at + 1] as string)
    }
    this.#welcome()
  }

  #welcome(): void {
    const { auditor, readOther } = this.#behaviour
    const reported = new Map(this.#behaviour.reported)
    for (const name of reported.keys()) {
      const wanted = this.startup.get(name)
      if (wanted !== undefined) reported.set(name, wanted)
    }
    this.#session = new ModelSession({ reported, readOther })
    this.#audited = auditor.opened(this.processId)
    this.#socket.write(
      Buffer.concat([
        raw.authenticationOk(),
        ...[...reported].map(([name, value]) => raw.parameterStatus(name, value)),
        raw.backendKeyData(this.processId, this.secret),
        raw.readyForQuery('I'),
      ]),
    )
  }

  #kick(): void {
    if (!this.#isWorking) void this.#work()
  }

  async #work(): Promise<void> {
    const session = this.#session
    const audited = this.#audited
    if (session === null || audited === null) {
      if (this.#hasEnded) this.drop()
      return
    }
    this.#isWorking = true
    await this.#serve(session, audited)
    if (this.#hasEnded && session.want.kind !== 'closed' && !this.#isStalled) {
      session.end()
      await this.#sendReplies(session)
    }
    this.#isWorking = false
    if (session.want.kind !== 'closed' && !this.#socket.destroyed) return
    this.#leave()
    this.#socket.end()
  }

  /** Until nothing is left to do for now. */
  async #serve(session: ModelSession, audited: AuditedServer): Promise<void> {
    while (!this.#isStalled && !this.#socket.destroyed) {
      await this.#sendReplies(session)
      if (session.want.kind === 'sleep') {
        await this.#sleep(session, session.want.ms)
        continue
      }
      if (session.want.kind === 'closed') return
      if (this.#cutter.restBytes === 0) this.#noteRest(session, audited)
      const message = this.#queue.shift()
      if (message === undefined) return
      if (this.#queue.length < queueMax / 2) this.#socket.resume()
      const wasHalfEnded = session.isHalfEnded
      if (wasHalfEnded && 'QPBDEF'.includes(message.type)) {
        this.#behaviour.auditor.inherited(audited)
      }
      session.receive(message)
      if (session.isHalfEnded && !wasHalfEnded) this.#behaviour.auditor.halfEnded(audited)
    }
  }

  /** All replies are out, and of what has come nothing will be answered. */
  #noteRest(session: ModelSession, audited: AuditedServer): void {
    const isIdle = this.#queue.every(({ type }) => copyTypes.includes(type))
    if (session.isAtRest && isIdle) this.#behaviour.auditor.rested(audited)
  }

  /** The backend's place is free before its client hears of the end, as with a process that exits. */
  #leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    if (this.#audited !== null) this.#behaviour.auditor.closed()
    this.#interruptSleep()
    this.#onLeft()
  }

  async #sendReplies(session: ModelSession): Promise<void> {
    const bytes = session.take()
    if (bytes.length === 0) return
    const { random, pieceBytesMax, lateChance, lateMs } = this.#behaviour
    const segmentation = pieceBytesMax === 0 ? whole : randomPieces(random, pieceBytesMax)
    if (!random.chance(lateChance)) return writeSegments(this.#socket, bytes, segmentation)
    const cut = bytes.length - 1 - random.int(Math.min(bytes.length, 8))
    await writeSegments(this.#socket, bytes.subarray(0, Math.max(0, cut)), segmentation)
    await delay(random.int(lateMs + 1))
    await writeSegments(this.#socket, bytes.subarray(Math.max(0, cut)), segmentation)
  }

  /** Ends with the time, with a cancel or with the connection. */
  async #sleep(session: ModelSession, ms: number): Promise<void> {
    if (this.#hasLeft) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#interruptSleep = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#interruptSleep = () => {}
    session.wake()
  }
}

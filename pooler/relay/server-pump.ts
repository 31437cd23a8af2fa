// Replies of one server. Keeps the tracker in step, looks into the few small messages that tell of
// state, swallows answers to messages of ours. Rows and copy data pass by their headers alone.
import { Buffer } from 'node:buffer'
import { readyForQuery } from '../../shared/protocol/backend-messages.ts'
import { PostgresError } from '../../shared/protocol/error-response.ts'
import { sync } from '../../shared/protocol/frontend-messages.ts'
import { backend, headerBytes, status } from '../../shared/protocol/message-types.ts'
import { readNotification } from '../../shared/protocol/notification.ts'
import { notificationBytesMax, reportBytesMax } from '../config/limits.ts'
import { askWhenAlone } from './count-question.ts'
import { headerOf, Pump, seenBytesMax } from './pump.ts'
import { describe } from './reply-entries.ts'
import type { ServerLink } from './server-link.ts'
import { sessionTagOf } from './session-tags.ts'
import { answersTo } from './statement-answers.ts'
import { collect, drop, forward, rewrite, type Verdict } from './verdicts.ts'

const processIdBytes = 4
const syncMessage: Buffer = sync()

const isDescription = (type: number): boolean =>
  type === backend.rowDescription ||
  type === backend.noData ||
  type === backend.parameterDescription

export class ServerPump extends Pump {
  readonly #link: ServerLink
  /** Of the message being read: it answers a message of ours. */
  #isOwn = false
  /** The report being read is kept. */
  #isWhole = true
  /** The error being read has been swallowed; the sink passes on what it makes of it. */
  #isErrorRead = false

  constructor(link: ServerLink) {
    super()
    this.#link = link
  }

  protected override get isStopped(): boolean {
    return this.#link.brokenBy !== null
  }

  protected override onHeader(
    type: number,
    bodyBytes: number,
    chunk: Buffer,
    bodyAt: number,
  ): Verdict {
    const tracker = this.#link.tracker
    if (tracker.doubt.isAsked && type === backend.errorResponse) {
      const due = tracker.takeCount()
      if (due !== null) return this.#onCounted(due)
    }
    const isOwn = tracker.isOwnReply
    const isQuiet = tracker.isQuietReply
    const owed = isQuiet ? tracker.owed : 0
    const isLookedAt = isDescription(type) && tracker.isNotedReply(describe)
    this.#isOwn = isOwn
    if (!tracker.received(type)) return this.#break(`unexpected message 0x${type.toString(16)}`)
    switch (type) {
      case backend.readyForQuery:
        if (bodyBytes !== 1) return this.#break(`ReadyForQuery of ${bodyBytes} bytes`)
        if (!isOwn && this.#link.sink.listening?.isDue === true) {
          if (bodyAt === chunk.length) {
            this.need(headerBytes + bodyBytes)
            return collect
          }
          if (chunk[bodyAt] === status.idle) {
            this.passSoFar()
            this.#link.sink.listening.tellQueued()
          }
        }
        this.see()
        if (tracker.doubt.isAsked) return drop
        break
      case backend.commandComplete:
        if (isQuiet) return drop
        this.see()
        break
      case backend.errorResponse:
        this.see()
        // It answers nothing: a client that goes on must not be told.
        this.#link.isFatalUntold = !isOwn && this.#link.sink.isOwedNothing === true
        if (this.#link.isFatalUntold) return drop
        // A text that may have to be changed is written anew in onServerError.
        if (!isOwn && this.#link.sink.session?.readsErrors === true && bodyBytes <= seenBytesMax) {
          this.#isErrorRead = true
          return drop
        }
        break
      case backend.parseComplete:
      case backend.bindComplete:
      case backend.closeComplete:
        // In doubt it may be to a message of the client's that has been counted off.
        if (isQuiet && (!tracker.doubt.isAny || tracker.owed < owed)) return drop
        break
      case backend.noticeResponse:
        // A Parse of ours has the warnings that the client's own had.
        if (isQuiet) return drop
        break
      case backend.dataRow:
        if (isOwn) this.see()
        break
      case backend.parameterDescription:
        if (isLookedAt) this.see()
        if (isQuiet || tracker.failed.takeRepeated()) return drop
        break
      case backend.rowDescription:
      case backend.noData:
        if (isLookedAt) this.see()
        if (isQuiet) return drop
        break
      case backend.parameterStatus:
        // Whether the client is told depends on the value, unless that is not kept.
        this.see()
        this.#isWhole = bodyBytes <= reportBytesMax
        if (this.#isWhole) return drop
        break
      case backend.notificationResponse:
        // No part of a reply, whoever asked for that.
        if (this.#link.sink.listening === null) return this.#named(bodyBytes, chunk, bodyAt)
        if (bodyBytes > notificationBytesMax)
          return this.#break(`a notification of ${bodyBytes} bytes`)
        this.see()
        return drop
    }
    return isOwn ? drop : forward
  }

  protected override get mayInsert(): boolean {
    return this.#link.tracker.isFakeDue
  }

  protected override insert(): void {
    this.output?.write(answersTo(this.#link.tracker.takeDueFakes()))
  }

  protected override seenBytesMaxOf(type: number): number {
    if (type === backend.parameterStatus) return reportBytesMax
    return type === backend.notificationResponse ? notificationBytesMax : seenBytesMax
  }

  protected override onBadLength(bodyBytes: number): void {
    this.#break(`message length ${bodyBytes + 4}`)
  }

  protected override onBody(type: number, bytes: Buffer, at: number, end: number): void {
    const link = this.#link
    switch (type) {
      case backend.readyForQuery:
        if (!link.tracker.ready(bytes[at] as number)) this.#break('ReadyForQuery at the wrong time')
        else if (link.isMisnamed || link.hasChangedSchema) link.sink.session?.onReady(link)
        if (link.tracker.doubt.isAny) askWhenAlone(link)
        return
      case backend.commandComplete: {
        const tag = sessionTagOf(bytes, at, end)
        if (tag !== null && !this.#isOwn) link.sink.session?.onTag(tag, link)
        return
      }
      case backend.errorResponse: {
        const error = new PostgresError(bytes.subarray(at, end))
        if (error.fields.severity === 'FATAL' || error.fields.severity === 'PANIC')
          link.fatal = error
        if (this.#isOwn) link.sink.onOwnError(error)
        else link.tracker.observer?.unnamed.onError(error, link.tracker)
        if (this.#isErrorRead) {
          this.#isErrorRead = false
          link.sink.session?.onError(error)
        }
        return
      }
      case backend.parameterDescription:
        link.tracker.observer?.shapes.onParameters(bytes, at, end)
        return
      case backend.rowDescription:
      case backend.noData:
        link.tracker.observer?.shapes.onColumns(bytes, at, end)
        return
      case backend.dataRow:
        link.sink.onOwnRow(bytes, at, end)
        return
      case backend.parameterStatus:
        if (!this.#isWhole) link.takeLongReport(bytes, at, this.#isOwn)
        else if (!link.takeReport(bytes, at, end, this.#isOwn)) this.#break('endless reports')
        return
      case backend.notificationResponse: {
        const notification = readNotification(bytes, at, end)
        if (notification === null) this.#break('malformed notification')
        else link.sink.listening?.onNotification(notification, link)
      }
    }
  }

  /** So many ReadyForQuery have come for the client's Syncs, and are told now. */
  #onCounted(due: number): Verdict {
    const { tracker, transport } = this.#link
    this.passSoFar()
    for (let left = due; left > 0; left--) this.output?.write(readyForQuery(tracker.status))
    if (!tracker.isBatchOpen) transport.write(syncMessage)
    return drop
  }

  /** A client tells its own notifications by the process id that it was told. */
  #named(bodyBytes: number, chunk: Buffer, bodyAt: number): Verdict {
    const { toldProcessId, processId } = this.#link
    if (toldProcessId === null || bodyBytes < processIdBytes) return forward
    if (chunk.length - bodyAt < processIdBytes) {
      this.need(headerBytes + processIdBytes)
      return collect
    }
    if (chunk.readInt32BE(bodyAt) !== processId) return forward
    const told = Buffer.alloc(processIdBytes)
    told.writeInt32BE(toldProcessId)
    this.replace(
      Buffer.concat([headerOf(backend.notificationResponse, bodyBytes), told]),
      told.length,
    )
    return rewrite
  }

  #break(reason: string): Verdict {
    this.#link.brokenBy = reason
    return drop
  }
}

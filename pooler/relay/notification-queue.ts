// Notifications that a client cannot be told yet, and those that it has been told already by its own server and that
// the shared connection will repeat. Both streams bring what the client itself sent in one order, that of Postgres'
// queue: what has been looked at once is not looked at again, so that many cost no more than one by one.
import { crc32 } from 'node:zlib'
import type { Notification } from '../../shared/protocol/notification.ts'

interface Waiting {
  readonly notification: Notification
  /** By its process id it may be the client's own: its server is about to bring it. */
  readonly isAwaited: boolean
}

export class NotificationQueue {
  /** null: its server has told the client. */
  #waiting: (Waiting | null)[] = []
  /** What is in front has been told. */
  #from = 0
  /** Nothing in front is the client's own and still to come from its server. */
  #ownFrom = 0
  #count = 0
  #bytes = 0
  #awaitedBytes = 0
  /** By channel, of which the shared connection may have been left. */
  readonly #echoes = new Map<string, Echoes>()

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Of what waits for the client, and not for its server. */
  get bytes(): number {
    return this.#bytes
  }

  get awaitedBytes(): number {
    return this.#awaitedBytes
  }

  get echoes(): number {
    let count = 0
    for (const echoes of this.#echoes.values()) count += echoes.size
    return count
  }

  add(notification: Notification, isAwaited: boolean): void {
    const waiting = { notification, isAwaited }
    this.#waiting.push(waiting)
    this.#count++
    this.#account(waiting, 1)
  }

  /** All that waits, first come first. */
  take(): Notification[] {
    return this.#takeTo(this.#waiting.length)
  }

  /**
   * The client's server brings a notification of its own. Returns what waits in front of it. Its copy is taken out;
   * where it has not come and `mayEcho`, it will be known for one when it comes.
   */
  takeBefore(own: Notification, mayEcho: boolean): Notification[] {
    const index = this.#takeOwn(own, mayEcho)
    return this.#takeTo(index === -1 ? this.#waiting.length : index)
  }

  /** As takeBefore, and what waits goes on waiting. */
  takeOut(own: Notification, mayEcho: boolean): void {
    this.#takeOwn(own, mayEcho)
    if (this.#count === 0) this.#takeTo(this.#waiting.length)
  }

  /** True when the shared connection repeats what the client's server has told it. */
  isEcho(notification: Notification): boolean {
    if (this.#echoes.size === 0) return false
    const echoes = this.#echoes.get(notification.channel)
    if (echoes?.take(notification) !== true) return false
    if (echoes.size === 0) this.#echoes.delete(notification.channel)
    return true
  }

  /** What is kept of other channels is forgotten. */
  keepOnly(channels: ReadonlySet<string>): void {
    const kept = this.#waiting
      .slice(this.#from)
      .filter((waiting) => waiting !== null && channels.has(waiting.notification.channel))
    this.#takeTo(this.#waiting.length)
    for (const waiting of kept as Waiting[]) this.add(waiting.notification, waiting.isAwaited)
    for (const channel of this.#echoes.keys()) {
      if (!channels.has(channel)) this.#echoes.delete(channel)
    }
  }

  /** The shared connection was lost: it repeats nothing of before. */
  forgetEchoes(): void {
    this.#echoes.clear()
  }

  /** Takes the copy out and returns where it was; -1: it has not come. */
  #takeOwn(own: Notification, mayEcho: boolean): number {
    for (; this.#ownFrom < this.#waiting.length; this.#ownFrom++) {
      const waiting = this.#waiting[this.#ownFrom]
      if (waiting == null || !isSame(waiting.notification, own)) continue
      const index = this.#ownFrom++
      this.#waiting[index] = null
      this.#count--
      this.#account(waiting, -1)
      return index
    }
    if (mayEcho) this.#echoesOf(own.channel).add(own)
    return -1
  }

  #takeTo(end: number): Notification[] {
    const taken: Notification[] = []
    for (let index = this.#from; index < end; index++) {
      const waiting = this.#waiting[index]
      if (waiting == null) continue
      this.#waiting[index] = null
      this.#account(waiting, -1)
      taken.push(waiting.notification)
    }
    this.#count -= taken.length
    this.#from = end
    this.#ownFrom = Math.max(this.#ownFrom, end)
    if (this.#count > 0) return taken
    this.#waiting = []
    this.#from = 0
    this.#ownFrom = 0
    return taken
  }

  #account({ notification, isAwaited }: Waiting, sign: 1 | -1): void {
    const bytes = sign * notification.bytes.length
    if (isAwaited) this.#awaitedBytes += bytes
    else this.#bytes += bytes
  }

  #echoesOf(channel: string): Echoes {
    let echoes = this.#echoes.get(channel)
    if (echoes === undefined) {
      echoes = new Echoes()
      this.#echoes.set(channel, echoes)
    }
    return echoes
  }
}

/** Of one channel, in the order in which the shared connection will bring them; a digest of each. */
class Echoes {
  #digests: number[] = []
  #from = 0
  readonly #counts = new Map<number, number>()

  get size(): number {
    return this.#digests.length - this.#from
  }

  add(notification: Notification): void {
    const digest = digestOf(notification)
    this.#digests.push(digest)
    this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1)
  }

  /** Those in front of it never came: the shared connection was lost and found again around them. */
  take(notification: Notification): boolean {
    const wanted = digestOf(notification)
    if (!this.#counts.has(wanted)) return false
    for (;;) {
      const digest = this.#digests[this.#from++] as number
      const left = (this.#counts.get(digest) as number) - 1
      if (left === 0) this.#counts.delete(digest)
      else this.#counts.set(digest, left)
      if (digest === wanted) break
    }
    if (this.#from > 1024 && this.#from * 2 > this.#digests.length) {
      this.#digests = this.#digests.slice(this.#from)
      this.#from = 0
    }
    return true
  }
}

/** The message begins with the process id. A whole number that V8 keeps without an object. */
const digestOf = ({ bytes }: Notification): number => crc32(bytes) | 0

const isSame = (one: Notification, other: Notification): boolean =>
  one.processId === other.processId && one.bytes.equals(other.bytes)

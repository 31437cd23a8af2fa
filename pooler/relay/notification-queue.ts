// Notifications that a client cannot be told yet, and those that it has been told already by its own
// server and that the shared connection will repeat.
import type { Notification } from '../../shared/protocol/notification.ts'

export class NotificationQueue {
  #waiting: Notification[] = []
  /** In the order in which the shared connection will bring them. */
  #echoes: Notification[] = []
  #bytes = 0

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Of all that is kept. */
  get bytes(): number {
    return this.#bytes
  }

  add(notification: Notification): void {
    this.#waiting.push(notification)
    this.#bytes += notification.bytes.length
  }

  /** All that waits, first come first. */
  take(): Notification[] {
    const taken = this.#waiting
    this.#waiting = []
    for (const { bytes } of taken) this.#bytes -= bytes.length
    return taken
  }

  /**
   * The client's server brings a notification of its own. Returns what waits in front of it: its copy
   * is taken out, or will be known for one when it comes.
   */
  takeBefore(own: Notification): Notification[] {
    const index = this.#waiting.findIndex((waiting) => isSame(waiting, own))
    if (index === -1) {
      this.#echoes.push(own)
      this.#bytes += own.bytes.length
      return this.take()
    }
    const taken = this.#waiting.splice(0, index + 1)
    for (const { bytes } of taken) this.#bytes -= bytes.length
    taken.pop()
    return taken
  }

  /** As takeBefore, and what waits goes on waiting. */
  takeOut(own: Notification): void {
    const index = this.#waiting.findIndex((waiting) => isSame(waiting, own))
    if (index === -1) {
      this.#echoes.push(own)
      this.#bytes += own.bytes.length
      return
    }
    this.#waiting.splice(index, 1)
    this.#bytes -= own.bytes.length
  }

  /** True when the shared connection repeats what the client's server has told it. */
  isEcho(notification: Notification): boolean {
    const index = this.#echoes.findIndex((echo) => isSame(echo, notification))
    // Those in front of it never came: the shared connection was lost and found again around them.
    for (const { bytes } of this.#echoes.splice(0, index + 1)) this.#bytes -= bytes.length
    return index !== -1
  }

  /** What is kept of other channels is forgotten. */
  keepOnly(channels: ReadonlySet<string>): void {
    const isKept = ({ channel }: Notification): boolean => channels.has(channel)
    this.#waiting = this.#waiting.filter(isKept)
    this.#echoes = this.#echoes.filter(isKept)
    this.#bytes = 0
    for (const { bytes } of this.#waiting) this.#bytes += bytes.length
    for (const { bytes } of this.#echoes) this.#bytes += bytes.length
  }

  /** The shared connection was lost: it repeats nothing of before. */
  forgetEchoes(): void {
    for (const { bytes } of this.#echoes) this.#bytes -= bytes.length
    this.#echoes = []
  }
}

const isSame = (one: Notification, other: Notification): boolean =>
  one.processId === other.processId && one.bytes.equals(other.bytes)

// Messages of one client. Every header is shown to the relay, which says what becomes of it.
import { Pump } from './pump.ts'
import type { Verdict } from './verdicts.ts'

export interface ClientMessages {
  /** `firstByte` is the first byte of the body, or -1 where it has not come yet or there is none. */
  onClientMessage(type: number, bodyBytes: number, firstByte: number): Verdict
  onClientBadLength(bodyBytes: number): void
  /** Nothing more of the client is to be read. */
  readonly isDeaf: boolean
}

export class ClientPump extends Pump {
  readonly #messages: ClientMessages

  constructor(messages: ClientMessages) {
    super()
    this.#messages = messages
  }

  protected override get isStopped(): boolean {
    return this.#messages.isDeaf
  }

  protected override onHeader(
    type: number,
    bodyBytes: number,
    chunk: Buffer,
    bodyAt: number,
  ): Verdict {
    const firstByte = bodyAt < chunk.length && bodyBytes > 0 ? (chunk[bodyAt] as number) : -1
    return this.#messages.onClientMessage(type, bodyBytes, firstByte)
  }

  protected override onBadLength(bodyBytes: number): void {
    this.#messages.onClientBadLength(bodyBytes)
  }

  protected override onBody(): void {}
}

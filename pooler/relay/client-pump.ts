// Messages of one client. Every header is shown to the relay, which says what becomes of it.
import { Pump } from './pump.ts'
import { collect, rewrite, type Verdict } from './verdicts.ts'

export interface ClientMessages {
  /** The pump tells what message it is at. */
  onClientMessage(message: ClientPump): Verdict
  onClientBadLength(bodyBytes: number): void
  /** Nothing more of the client is to be read. */
  readonly isDeaf: boolean
}

const nothing = Buffer.alloc(0)

export class ClientPump extends Pump {
  readonly #messages: ClientMessages
  /** Of the message whose header has been read: valid until the next one. */
  type = 0
  bodyBytes = 0
  /** Its body begins at `at` of `chunk`, as far as it has come. */
  chunk: Buffer = nothing
  at = 0

  constructor(messages: ClientMessages) {
    super()
    this.#messages = messages
  }

  /** As Pump.feed; the chunk is not kept. */
  override feed(chunk: Buffer): Buffer | null {
    const rest = super.feed(chunk)
    this.chunk = nothing
    return rest
  }

  /** Before bytes of ours go to the server: what the client sent before its present message. */
  override passSoFar(): void {
    super.passSoFar()
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
    this.type = type
    this.bodyBytes = bodyBytes
    this.chunk = chunk
    this.at = bodyAt
    return this.#messages.onClientMessage(this)
  }

  /** For verdict collect: so many bytes of the message, header included, are wanted. */
  wait(bytes: number): Verdict {
    this.need(bytes)
    return collect
  }

  /** For verdict rewrite. */
  substitute(head: Buffer, bodyBytes: number): Verdict {
    this.replace(head, bodyBytes)
    return rewrite
  }

  protected override onBadLength(bodyBytes: number): void {
    this.#messages.onClientBadLength(bodyBytes)
  }

  protected override onBody(): void {}
}

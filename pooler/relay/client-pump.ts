// Messages of one client. Every header is shown to the relay, which says what becomes of it.
import { noBytes } from '../../shared/no-bytes.ts'
import { headerBytes } from '../../shared/protocol/message-types.ts'
import { KeptBytes } from './kept-bytes.ts'
import { headerOf, Pump } from './pump.ts'
import { collect, rewrite, type Verdict } from './verdicts.ts'

export interface ClientMessages {
  /** The pump tells what message it is at. */
  onClientMessage(message: ClientPump): Verdict
  onClientBadLength(bodyBytes: number): void
  /** Nothing more of the client is to be read. */
  readonly isDeaf: boolean
}

export class ClientPump extends Pump {
  readonly #messages: ClientMessages
  /** Of the message whose header has been read: valid until the next one. */
  type = 0
  bodyBytes = 0
  /** Its body begins at `at` of `chunk`, as far as it has come. */
  chunk: Buffer = noBytes
  at = 0
  /** What keepFromHere keeps. */
  readonly #kept = new KeptBytes()

  constructor(messages: ClientMessages) {
    super()
    this.#messages = messages
  }

  /** As Pump.feed; the chunk is not kept, but for what keepFromHere is about. */
  override feed(chunk: Buffer): Buffer | null {
    if (this.#kept.isAny) this.#kept.append(chunk, 0)
    const rest = super.feed(chunk)
    this.chunk = noBytes
    if (rest !== null && this.#kept.isAny) this.#kept.takeOff(rest.length)
    return rest
  }

  /** From the present message on what comes is kept, up to so many bytes; beyond it nothing is. */
  keepFromHere(bytesMax: number): void {
    const { chunk, at } = this
    // A header that came in two pieces is not in this chunk.
    if (at >= headerBytes) this.#kept.begin(bytesMax, noBytes, chunk, at - headerBytes)
    else this.#kept.begin(bytesMax, headerOf(this.type, this.bodyBytes), chunk, at)
  }

  dropKept(): void {
    this.#kept.drop()
  }

  /** All is kept since then, and it ends with a whole message. */
  get isKeptWhole(): boolean {
    return this.#kept.isAny && this.isEmpty && !this.isStopped
  }

  /** They are fed once more, the beginning of a further message's header among them. */
  takeKept(): Buffer | null {
    const bytes = this.#kept.take()
    if (bytes !== null) this.forgetHeader()
    return bytes
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

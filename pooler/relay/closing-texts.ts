// DISCARD and DEALLOCATE on their way to a server: what a client's names stand for is not known before
// they are answered, so messages that use names wait.
import type { Buffer } from 'node:buffer'
import { flush } from '../../shared/protocol/frontend-messages.ts'
import type { ServerLink } from './server-link.ts'
import type { ClientInput } from './statement-supply.ts'

const flushMessage: Buffer = flush()

export class ClosingTexts {
  readonly #input: ClientInput
  #isUnderWay = false
  #isAwaited = false

  constructor(input: ClientInput) {
    this.#input = input
  }

  attach(): void {
    this.#isUnderWay = false
    this.#isAwaited = false
  }

  note(): void {
    this.#isUnderWay = true
  }

  /** True when a message that uses a name, or the unnamed statement, has to wait. */
  mustWait(usesName: boolean, link: ServerLink): boolean {
    const { tracker, transport } = link
    // In a batch it may be bound, and not have been run.
    if (!tracker.isBatchOpen && isAllTold(link)) this.#isUnderWay = false
    this.#isAwaited = this.#isUnderWay && usesName && !isClientsTurn(link)
    // Else the server keeps its answers until the Sync that comes behind this message.
    if (this.#isAwaited && tracker.isBatchOpen) {
      this.#input.passSoFar()
      transport.write(flushMessage)
    }
    return this.#isAwaited
  }

  /** The message that had to wait has to wait on; not so one that waits for anything else, then or later. */
  isAwaitedStill(link: ServerLink): boolean {
    if (isAllTold(link) || isClientsTurn(link)) this.#isAwaited = false
    return this.#isAwaited
  }
}

/** Answers are counted by their headers, and what was closed stands in the tag. */
const isAllTold = ({ tracker, isBetweenMessages }: ServerLink): boolean =>
  tracker.owed === 0 && isBetweenMessages

const isClientsTurn = ({ tracker, isBetweenMessages }: ServerLink): boolean =>
  tracker.needsClient && isBetweenMessages

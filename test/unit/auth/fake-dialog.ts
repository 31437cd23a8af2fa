import type { AuthDialog } from '../../../pooler/auth/auth-dialog.ts'

/** A client that answers each `receive` with what a function makes of all that was sent to it. */
export class FakeDialog implements AuthDialog {
  readonly sent: Buffer[] = []
  readonly #answers: ((sent: readonly Buffer[]) => Buffer | Promise<Buffer>)[]

  constructor(...answers: ((sent: readonly Buffer[]) => Buffer | Promise<Buffer>)[]) {
    this.#answers = answers
  }

  /** Answers that nobody asked for. */
  get answersLeft(): number {
    return this.#answers.length
  }

  send(message: Buffer): void {
    this.sent.push(message)
  }

  async receive(bodyBytesMax: number): Promise<Buffer> {
    const answer = this.#answers.shift()
    if (answer === undefined) throw new Error('the client has nothing more to say')
    const body = await answer(this.sent)
    if (body.length > bodyBytesMax) throw new Error(`${body.length} bytes, over ${bodyBytesMax}`)
    return body
  }
}

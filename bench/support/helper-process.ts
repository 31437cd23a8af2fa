// A part of the load in a process of its own, so that neither it nor its garbage is in the figures of
// the rest. It is asked one thing at a time, and ends with this process.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'

type Answer<Result> = { readonly result: Result } | { readonly error: string }

export class HelperProcess {
  readonly #child: ChildProcess

  /** `program`: a file of this folder that answers with `answerRequests`. */
  constructor(program: string) {
    this.#child = fork(join(import.meta.dirname, program))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  ask<Result>(request: object): Promise<Result> {
    return new Promise((resolve, reject) => {
      const onGone = (): void => reject(new Error('a part of the load has ended'))
      this.#child.once('exit', onGone)
      this.#child.once('message', (answer: Answer<Result>) => {
        this.#child.off('exit', onGone)
        if ('error' in answer) reject(new Error(answer.error))
        else resolve(answer.result)
      })
      this.#child.send(request)
    })
  }

  stop(): void {
    this.#child.disconnect()
  }
}

/** In the helper's own process, which ends when whoever asks is gone. */
export function answerRequests<Request>(answer: (request: Request) => Promise<unknown>): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (request) => {
    answer(request as Request).then(
      (result) => process.send?.({ result: result ?? null }),
      (error: unknown) => process.send?.({ error: String(error) }),
    )
  })
}

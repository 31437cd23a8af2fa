/** Why something of `npm start` cannot start: one line that tells the person what to do. */
export class StartError extends Error {
  override readonly name = 'StartError'

  constructor(line: string, cause?: unknown) {
    super(line.replace(/\s+/g, ' ').trim(), cause === undefined ? undefined : { cause })
  }
}

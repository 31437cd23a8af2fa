/** The client's side of an authentication exchange, as far as auth may know it. */
export interface AuthDialog {
  /** The last message may wait for what its caller sends at once behind it. */
  send(message: Buffer, isLast?: boolean): void
  /**
   * The body of the next password message ('p'). Rejects with PoolerError when the client closes,
   * runs out of time, or sends another type or a longer body.
   */
  receive(bodyBytesMax: number): Promise<Buffer>
}

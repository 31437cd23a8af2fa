// Whether sockets may be used below Node's streams: tried out once at start, because Node promises
// nothing of what handle-transport.ts stands on. What does not behave is not used, and no worse for it.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { type EaseReads, easeReads } from './eased-reads.ts'
import { HandleTransport, openHandleTransport } from './handle-transport.ts'
import { kept } from './read-memory.ts'
import { openStreamTransport } from './stream-transport.ts'
import { streamBinding } from './tcp-handle.ts'
import type { OpenTransport, Transport, TransportReader } from './transport.ts'

export type FastIo = 'auto' | 'off'

export interface FastIoChoice {
  readonly openTransport: OpenTransport
  readonly easeReads: EaseReads
  /** Why the streams are used; null: they are not. */
  readonly whyNot: string | null
}

const testMsMax = 2000
const asIs: EaseReads = () => {}

/** Never rejects. */
export async function chooseTransport(
  setting: FastIo,
  clock: Clock = systemClock,
): Promise<FastIoChoice> {
  const whyNot = setting === 'off' ? 'switched off' : await fastIoFault(clock)
  if (whyNot !== null) return { openTransport: openStreamTransport, easeReads: asIs, whyNot }
  return { openTransport: openHandleTransport, easeReads, whyNot }
}

/** What does not work; null: all does. */
async function fastIoFault(clock: Clock): Promise<string | null> {
  if (streamBinding === null) return 'this Node does not give access to its stream handles'
  let server: Server | null = null
  let limit: { cancel(): void } | null = null
  const sockets: Socket[] = []
  try {
    server = await listening()
    const { port } = server.address() as AddressInfo
    const accepted = new Promise<Socket>((resolve) => server?.once('connection', resolve))
    const near = connect({ host: '127.0.0.1', port, noDelay: true })
    sockets.push(near)
    const timeUp = new Promise<string>((resolve) => {
      limit = clock.after(testMsMax, () =>
        resolve(`the self-test took longer than ${testMsMax} ms`),
      )
      near.on('error', (error) => resolve(`the self-test could not connect: ${error.message}`))
    })
    const trial = async (): Promise<string | null> => {
      await new Promise((resolve) => near.once('connect', resolve))
      const far = await accepted
      sockets.push(far)
      return await tryOut(near, far)
    }
    return await Promise.race([trial(), timeUp])
  } catch (error) {
    return `the self-test failed: ${error instanceof Error ? error.message : String(error)}`
  } finally {
    ;(limit as { cancel(): void } | null)?.cancel()
    for (const socket of sockets) socket.destroy()
    server?.close()
  }
}

function listening(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    // Of a worker too, whose ports are else the primary's and shared with the other workers.
    server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })
}

/** Small bytes there and back, more than a kernel takes at once to one who does not read, the end. */
async function tryOut(near: Socket, far: Socket): Promise<string | null> {
  const ours = new Trial(near)
  const theirs = new Trial(far)
  if (!ours.isFast || !theirs.isFast) return 'the self-test got no transport on the handle'
  ours.transport.write(Buffer.from('ping'))
  if (!(await theirs.hasRead(4, 'ping'))) return 'the self-test read what was not written'
  theirs.transport.write(Buffer.from('po'))
  theirs.transport.write(Buffer.from('ng'))
  if (!(await ours.hasRead(4, 'pong'))) return 'the self-test read what was not written'
  theirs.transport.pause()
  const bulk = Buffer.alloc(bulkBytes, 'latchkey')
  let parts = 0
  while (ours.transport.write(bulk) && parts < bulkPartsMax) parts++
  if (!ours.transport.isBlocked) return 'the self-test could not fill a socket'
  theirs.transport.resume()
  if (!(await theirs.hasRead((parts + 1) * bulkBytes, null))) return 'the self-test lost bytes'
  if (!ours.wasDrained) return 'the self-test was not told of room'
  ours.transport.end()
  await theirs.closed
  return null
}

const bulkBytes = 64 * 1024
const bulkPartsMax = 1024

class Trial implements TransportReader {
  readonly transport: Transport
  readonly closed: Promise<void>
  wasDrained = false
  #readBytes = 0
  #text = ''
  #onRead: () => void = () => {}
  #onClosed: () => void = () => {}

  constructor(socket: Socket) {
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve
    })
    this.transport = openHandleTransport(socket, this)
  }

  get isFast(): boolean {
    return this.transport instanceof HandleTransport
  }

  /** Waits for so many bytes since the last time; false when others or other ones came. */
  async hasRead(bytes: number, text: string | null): Promise<boolean> {
    while (this.#readBytes < bytes) {
      await new Promise<void>((resolve) => {
        this.#onRead = resolve
      })
    }
    const isSame = this.#readBytes === bytes && (text === null || text === this.#text)
    this.#readBytes = 0
    this.#text = ''
    return isSame
  }

  onTransportData(chunk: Buffer): void {
    this.#readBytes += chunk.length
    this.#text = (this.#text + kept(chunk).toString('latin1', 0, 8)).slice(0, 8)
    this.#onRead()
  }

  onTransportDrain(): void {
    this.wasDrained = true
  }

  onTransportClosed(): void {
    this.#onClosed()
    this.#onRead()
  }

  onTransportFault(error: unknown): void {
    throw error
  }
}

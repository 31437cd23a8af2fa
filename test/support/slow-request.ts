// A request to the API whose body comes slowly: what is allowed when its head has come may be gone
// when it is whole.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { eventually } from './eventually.ts'

export interface SlowRequest {
  readonly method: string
  readonly path: string
  readonly bearer: string
  readonly body: object
}

export class SlowBody {
  readonly #socket: Socket
  readonly #rest: string
  #text = ''

  private constructor(socket: Socket, rest: string) {
    this.#socket = socket
    this.#rest = rest
    socket.on('data', (chunk) => {
      this.#text += String(chunk)
    })
  }

  /** The server has the head, and says so (RFC 9110 section 10.1.1), and the first byte of the body. */
  static async begin(
    apiUrl: string,
    { method, path, bearer, body }: SlowRequest,
  ): Promise<SlowBody> {
    const { hostname, port } = new URL(apiUrl)
    const text = JSON.stringify(body)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    const slow = new SlowBody(socket, text.slice(1))
    const head = [
      `${method} ${path} HTTP/1.1`,
      'Host: localhost',
      'Connection: close',
      'Expect: 100-continue',
      `Authorization: Bearer ${bearer}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(text)}`,
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n${text.slice(0, 1)}`)
    await eventually(() => slow.#text.startsWith('HTTP/1.1 100 '))
    return slow
  }

  async finish(): Promise<{ status: number; text: string }> {
    this.#socket.write(this.#rest)
    await once(this.#socket, 'close')
    const [, head = '', text = ''] = this.#text.split('\r\n\r\n')
    return { status: Number(head.split(' ')[1]), text }
  }
}

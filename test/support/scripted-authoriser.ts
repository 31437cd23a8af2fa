// An outside authoriser that answers what a test says, over HTTP or HTTPS on a free port.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'

export interface AuthoriserRequest {
  readonly method: string
  readonly path: string
  readonly authorization: string
  readonly contentType: string
  readonly body: { readonly role?: string; readonly rhost?: string }
}

type Script = (request: AuthoriserRequest, response: ServerResponse) => void

export const userId = '00000000-1111-2222-3333-444444444444'

/** As the public API answers; `changes` are of the user_role. */
export const grants =
  (changes: object = {}): Script =>
  ({ body }, response) => {
    const answer = { user_id: userId, user_role: { role: body.role, ...changes } }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
  }

export const answers =
  (status: number, body = '{"message":"no"}', headers: Record<string, string> = {}): Script =>
  (_request, response) => {
    response.writeHead(status, headers).end(body)
  }

/** Never says a word. */
export const isSilent: Script = () => {}

export class ScriptedAuthoriser {
  readonly requests: AuthoriserRequest[] = []
  connections = 0
  script: Script = grants()
  readonly #server: Server
  readonly #scheme: string
  readonly #sockets = new Set<Socket>()

  private constructor(tls: { readonly cert: string; readonly key: string } | null) {
    const handler = (request: IncomingMessage, response: ServerResponse) =>
      void this.#onRequest(request, response)
    this.#server = tls === null ? createServer(handler) : createTlsServer(tls, handler)
    this.#scheme = tls === null ? 'http' : 'https'
    this.#server.on('connection', (socket: Socket) => {
      this.connections++
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(
    tls: { readonly cert: string; readonly key: string } | null = null,
  ): Promise<ScriptedAuthoriser> {
    const authoriser = new ScriptedAuthoriser(tls)
    authoriser.#server.listen(0, '127.0.0.1')
    await once(authoriser.#server, 'listening')
    return authoriser
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(host = '127.0.0.1'): string {
    return `${this.#scheme}://${host}:${this.port}/v1/projects/x/database/jit`
  }

  async stop(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const part of request) text += String(part)
    const { method = '', url: path = '', headers } = request
    const seen = {
      method,
      path,
      authorization: headers.authorization ?? '',
      contentType: headers['content-type'] ?? '',
      body: text === '' ? {} : JSON.parse(text),
    }
    this.requests.push(seen)
    this.script(seen, response)
  }
}

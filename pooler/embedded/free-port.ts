import { createServer } from 'node:net'

/** A loopback port that nobody listened on a moment ago; `wanted` if it is one, else null. */
export function freePort(wanted = 0): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen({ port: wanted, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : null
      server.close(() => resolve(port))
    })
  })
}

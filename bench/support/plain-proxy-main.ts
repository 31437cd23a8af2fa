// A program: passes bytes between each client and a connection of its own to the given port, with
// Node's streams as they are and nothing else. Prints the port it listens on.
import { connect, createServer, type Socket } from 'node:net'

const [upstreamPort] = process.argv.slice(2)

function pass(from: Socket, to: Socket): void {
  from.setNoDelay()
  from.on('data', (chunk) => to.write(chunk))
  from.on('end', () => to.end())
  from.on('error', () => {})
  from.on('close', () => to.destroy())
}

const server = createServer((client) => {
  const upstream = connect({ host: '127.0.0.1', port: Number(upstreamPort) })
  pass(client, upstream)
  pass(upstream, client)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`)
})

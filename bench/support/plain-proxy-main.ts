// A program: passes bytes between each client and a connection of its own to the given host and port, with
// Node's streams as they are and nothing else but a delay where one is asked for. Prints the port it listens on.
import { connect, createServer, type Socket } from 'node:net'

const [host = '', port, delay] = process.argv.slice(2)
const upstreamAt = { host, port: Number(port) }
const delayMs = Number(delay)

/** Timers of equal length keep their order. */
function later(run: () => void): void {
  if (delayMs) setTimeout(run, delayMs)
  else run()
}

function pass(from: Socket, to: Socket): void {
  from.setNoDelay()
  from.on('data', (chunk) => later(() => to.write(chunk)))
  from.on('end', () => later(() => to.end()))
  from.on('error', () => {})
  from.on('close', () => later(() => to.destroy()))
}

const server = createServer((client) => {
  const upstream = connect(upstreamAt)
  upstream.setNoDelay()
  pass(client, upstream)
  pass(upstream, client)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`)
})

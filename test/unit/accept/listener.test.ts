import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Listener, type ListenerOptions } from '../../../pooler/accept/listener.ts'
import { eventually } from '../../support/eventually.ts'

const listeners: Listener[] = []
const sockets: Socket[] = []

afterEach(() => {
  for (const listener of listeners.splice(0)) listener.stopAccepting()
  for (const socket of sockets.splice(0)) socket.destroy()
})

async function open(options: Partial<ListenerOptions> = {}): Promise<Listener> {
  const listener = new Listener({
    mode: 'session',
    host: '127.0.0.1',
    port: 0,
    fd: null,
    portSetting: 'PROXY_PORT_SESSION',
    onSocket: (socket) => void sockets.push(socket.on('error', () => {})),
    onAcceptFault: (error) => {
      throw error
    },
    ...options,
  })
  listeners.push(listener)
  await listener.listen()
  return listener
}

function dial(port: number | null): Socket {
  const socket = connect({ port: port ?? 0, host: '127.0.0.1' }).on('error', () => {})
  sockets.push(socket)
  return socket
}

test('a socket is handed on with the mode of its port', async () => {
  const seen: string[] = []
  const listener = await open({
    mode: 'transaction',
    onSocket: (socket, mode) => {
      sockets.push(socket.on('error', () => {}))
      seen.push(`${mode} ${socket.remoteAddress}`)
    },
  })
  dial(listener.port)
  await eventually(() => expect(seen).toEqual(['transaction 127.0.0.1']))
})

test('a port in use is told with its number and its setting', async () => {
  const first = await open()
  await expect(open({ port: first.port ?? 0 })).rejects.toThrow(
    `port ${first.port} (PROXY_PORT_SESSION) on 127.0.0.1 is in use: stop what listens there, or set PROXY_PORT_SESSION to another port`,
  )
})

test('an address that is not of this machine is told as it is', async () => {
  await expect(open({ host: '192.0.2.1' })).rejects.toThrow(
    /port 0 \(PROXY_PORT_SESSION\) on 192\.0\.2\.1 cannot be opened: .*EADDRNOTAVAIL/,
  )
})

test('without a host all addresses are listened on', async () => {
  const seen: (string | undefined)[] = []
  const listener = await open({
    host: null,
    onSocket: (socket) => {
      sockets.push(socket.on('error', () => {}))
      seen.push(socket.remoteAddress)
    },
  })
  dial(listener.port)
  await eventually(() => expect(seen).toHaveLength(1))
})

test('after the stop nobody new comes in and those who came stay', async () => {
  const accepted: Socket[] = []
  const listener = await open({
    onSocket: (socket) => {
      sockets.push(socket.on('error', () => {}))
      accepted.push(socket)
    },
  })
  const port = listener.port
  const early = dial(port)
  await eventually(() => expect(accepted).toHaveLength(1))
  listener.stopAccepting()
  expect(listener.port).toBeNull()
  const late = dial(port)
  await eventually(() => expect(late.destroyed).toBe(true))
  const heard: string[] = []
  accepted[0]?.on('data', (chunk) => heard.push(chunk.toString()))
  early.write('still here')
  await eventually(() => expect(heard.join('')).toBe('still here'))
})

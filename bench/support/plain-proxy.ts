// The least that a proxy on Node's streams can cost: what Latchkey costs beyond it is our own doing,
// what it costs itself is the runtime's and the kernel's.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { BenchPostgres } from './postgres.ts'
import { Service, untilServing } from './service.ts'
import { checkLogin, type Target } from './target.ts'

export interface PlainProxyRun {
  readonly service: Service
  readonly target: Target
}

const program = join(import.meta.dirname, 'plain-proxy-main.ts')

/** `delayMs`: put on every chunk, in each direction. */
export async function startPlainProxy(
  postgres: BenchPostgres,
  delayMs = 0,
): Promise<PlainProxyRun> {
  const address = postgres.address()
  const upstream = [address.host, `${address.port}`, `${delayMs}`]
  const command = ['--pdeathsig', 'KILL', process.execPath, program, ...upstream]
  const service = new Service('plain', spawn('setpriv', command, { stdio: 'pipe' }))
  const transaction = await untilServing(service, async () => {
    const port = Number(service.lines[0])
    if (!(port > 0)) throw new Error('it has not said its port')
    const one = { ...address, host: '127.0.0.1', port }
    await checkLogin(one)
    return one
  })
  const target = {
    name: 'plain',
    pid: service.pid,
    lacks: { tls: 'it only passes bytes' },
    transaction,
  }
  return { service, target }
}

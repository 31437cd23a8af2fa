// The edge of a process that is one of several workers: started by the primary, told by it when to end.
import cluster from 'node:cluster'
import { systemClock } from '../shared/clock.ts'
import { shareIds } from '../shared/ids.ts'
import { createLog } from '../shared/log.ts'
import type { ShutdownWay } from './admin/admin-view.ts'
import { inheritedSockets } from './config/inherited-sockets.ts'
import { loadConfig } from './config/load-config.ts'
import { Pooler } from './pooler.ts'
import { catchFaults, end, lineOf, nothingRuns, type Service } from './process-edge.ts'
import { WorkerLink } from './workers/worker-link.ts'
import type { Parting } from './workers/worker-messages.ts'

/**
 * Settings come from the primary, and it says when to end. Signals that a terminal sends to all are
 * the primary's; when it is gone, what is left is to part from the clients.
 */
export async function serveAsWorker(): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const) {
    process.on(signal, () => {})
  }
  // Else Node ends a worker in the very moment in which its primary is gone.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
  const running = nothingRuns()
  const link = await WorkerLink.open(systemClock, {
    onStop: (how) => end(running, (service) => part(service, how)),
    onPrimaryGone: () => {
      if (!running.isStopping) end(running, (service) => service.drain())
    },
  })
  try {
    const config = loadConfig(link.env)
    const { worker } = link.place
    shareIds(link.place)
    const log = createLog({ level: config.logLevel, format: config.logFormat }).child({ worker })
    catchFaults(log)
    const onShutdown = (how: ShutdownWay): void => link.shutDownAll(how)
    // Descriptors are the primary's, as the ports are.
    const inherited = inheritedSockets(link.env, process.ppid)
    const pooler = await Pooler.start({ config, log, onShutdown, inherited, link })
    running.service = pooler
    log.info({ slot: link.place.slot }, 'a worker serves')
    link.ready(pooler.ports)
  } catch (error) {
    await link.failed(lineOf(error))
    process.exit(1)
  }
}

function part(service: Service, how: Parting): Promise<void> {
  switch (how) {
    case 'drain':
      return service.drain()
    case 'hand over':
      return service.handOver()
    default:
      return service.shutDown(how)
  }
}

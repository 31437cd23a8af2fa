// Finds servers that a client waits for in vain: they owe a reply, have been silent for long, and a
// connection beside them tells that it will not come. A query that simply takes its time is left alone.
import type { PoolOptions, ProbeResult } from './pool-options.ts'
import type { ServerConnection } from './server-connection.ts'
import { placeText, type ServerPlace } from './server-place.ts'

/** A probe that reached nobody is repeated so soon; only the second one in a row counts. */
const repeatMs = 5000

export class SilentServers {
  readonly #options: PoolOptions
  /** Places that are being probed: one connection each at a time. */
  readonly #probed = new Set<string>()

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Once a second. */
  onTick(servers: Iterable<ServerConnection>, nowMs: number): void {
    const silentMsMax = this.#options.times.serverSilenceProbeMs
    if (silentMsMax === 0) return
    const suspects = new Map<string, ServerConnection[]>()
    for (const server of servers) {
      if (!isAwaited(server) || server.transport.bytesRead !== server.heardBytes) {
        server.heardBytes = server.transport.bytesRead
        server.heardAtMs = nowMs
        server.failedProbes = 0
      } else if (nowMs - server.heardAtMs >= silentMsMax) {
        const text = placeText(server.place)
        if (this.#probed.has(text)) continue
        const others = suspects.get(text)
        if (others === undefined) suspects.set(text, [server])
        else others.push(server)
      }
    }
    for (const [text, [first, ...others]] of suspects) {
      if (first !== undefined) void this.#probe(text, first.place, [first, ...others])
    }
  }

  async #probe(
    text: string,
    place: ServerPlace,
    silent: readonly ServerConnection[],
  ): Promise<void> {
    const { upstream, clock, times, log } = this.#options
    const silentMsMax = times.serverSilenceProbeMs
    const startMs = clock.monotonicMs()
    const asked = silent.map(({ processId, openedAtMs }) => ({
      processId,
      ageMs: startMs - openedAtMs,
    }))
    this.#probed.add(text)
    const result = await upstream
      .probe(place, asked, silentMsMax / 2)
      .catch((error: unknown): ProbeResult => {
        log.error({ err: error }, 'silent servers could not be looked at')
        return { kind: 'unknown' }
      })
    this.#probed.delete(text)
    for (const server of silent) {
      if (!isAwaited(server) || server.transport.bytesRead !== server.heardBytes) continue
      server.heardAtMs = clock.monotonicMs()
      const reason = reasonToGiveUp(server, result)
      if (reason !== null) {
        log.warn({ serverId: server.id, reason }, 'silent server given up')
        server.transport.destroy(new Error(reason))
      } else if (server.failedProbes > 0) {
        server.heardAtMs -= Math.max(0, silentMsMax - repeatMs)
      }
    }
  }
}

/** A client waits for its word, and for nothing else. */
const isAwaited = ({ state, tracker, transport, sink }: ServerConnection): boolean =>
  state === 'joined' &&
  tracker.isReplyDue &&
  !tracker.needsClient &&
  sink.isCutOff !== true &&
  transport.isReading

function reasonToGiveUp(server: ServerConnection, result: ProbeResult): string | null {
  if (result.kind === 'unreachable') {
    server.failedProbes++
    return server.failedProbes > 1
      ? `the server was silent, and its address is not reached: ${result.reason}`
      : null
  }
  server.failedProbes = 0
  const isIdle = result.kind === 'answered' && result.idle.has(server.processId)
  return isIdle ? 'the server was silent, and is idle: the connection to it is broken' : null
}

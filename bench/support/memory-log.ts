// What a Node process keeps over time: resident memory, and the heap that is left behind a collection,
// which is what a leak shows in first. Asked over the inspector, which the process was started with.
import { processMemoryMb } from './cpu.ts'
import type { Service } from './service.ts'

/** For Latchkey's process: a port of the system's choice, on loopback. */
export const inspectedArgs: readonly string[] = ['--inspect=127.0.0.1:0']

export interface MemorySample {
  readonly second: number
  readonly residentMb: number
  readonly liveHeapMb: number
}

const samplePeriodMs = 10_000

export class MemoryLog {
  readonly samples: MemorySample[] = []
  readonly #service: Service
  readonly #inspector: Inspector
  readonly #startMs = performance.now()
  #timer: NodeJS.Timeout | null = null
  #isStopped = false

  private constructor(service: Service, inspector: Inspector) {
    this.#service = service
    this.#inspector = inspector
  }

  static async start(service: Service): Promise<MemoryLog> {
    const line = service.lines.find((each) => each.includes('Debugger listening on'))
    const url = line?.match(/ws:\/\/\S+/)?.[0]
    if (url === undefined) throw new Error(`${service.name} was not started with an inspector`)
    const log = new MemoryLog(service, await Inspector.open(url))
    await log.sample()
    const run = (): void => {
      if (log.#isStopped) return
      log.#timer = setTimeout(() => void log.sample().then(run, () => {}), samplePeriodMs)
    }
    run()
    return log
  }

  async sample(): Promise<MemorySample> {
    await this.#inspector.call('HeapProfiler.collectGarbage')
    const { usedSize } = await this.#inspector.call('Runtime.getHeapUsage')
    const sample = {
      second: Math.round((performance.now() - this.#startMs) / 1000),
      residentMb: processMemoryMb(this.#service.pid).now,
      liveHeapMb: Math.round(Number(usedSize) / 1024 / 10.24) / 100,
    }
    this.samples.push(sample)
    return sample
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#inspector.close()
  }
}

/** Growth per minute over the second half of the samples, by least squares. */
export function slopePerMinute(
  samples: readonly MemorySample[],
  figure: 'residentMb' | 'liveHeapMb',
): number {
  const half = samples.slice(samples.length >> 1)
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const minute = mean(half.map((each) => each.second / 60))
  const level = mean(half.map((each) => each[figure]))
  let above = 0
  let below = 0
  for (const each of half) {
    above += (each.second / 60 - minute) * (each[figure] - level)
    below += (each.second / 60 - minute) ** 2
  }
  return below === 0 ? 0 : above / below
}

/** The few calls of the Chrome DevTools protocol that are needed here. */
class Inspector {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (result: Record<string, unknown>) => void>()
  #count = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as {
        id?: number
        result?: Record<string, unknown>
      }
      if (id === undefined) return
      this.#waiting.get(id)?.(result ?? {})
      this.#waiting.delete(id)
    })
  }

  static open(url: string): Promise<Inspector> {
    const socket = new WebSocket(url)
    return new Promise((resolve, reject) => {
      socket.addEventListener('open', () => resolve(new Inspector(socket)))
      socket.addEventListener('error', () => reject(new Error(`no inspector at ${url}`)))
    })
  }

  call(method: string): Promise<Record<string, unknown>> {
    const id = ++this.#count
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#socket.send(JSON.stringify({ id, method }))
    })
  }

  close(): void {
    this.#socket.close()
  }
}

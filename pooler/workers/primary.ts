// The process in front of several workers: starts and replaces them, passes their words on, hands out
// permits, and ends them. It holds the ports (node:cluster) and no client. Signals are main.ts's.
import cluster, { type Worker } from 'node:cluster'
import { type Clock, keepProcessUp, sleep } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import type { ShutdownWay } from '../admin/admin-view.ts'
import { type SocketName, withoutInheritance } from '../config/inherited-sockets.ts'
import type { Environment } from '../config/load-config.ts'
import { type HoldChange, PoolHolds } from '../pool/pool-holds.ts'
import { Exchange } from './exchange.ts'
import { FrontSockets } from './front-sockets.ts'
import { PermitOffice } from './permit-office.ts'
import { answersWithinMs } from './worker-link.ts'
import type { Answers, Call, OpenPorts, Parting, ToPrimary, ToWorker } from './worker-messages.ts'

export interface PrimaryOptions {
  readonly count: number
  /** What the workers read their settings from. */
  readonly env: Environment
  /** The program that a worker runs. */
  readonly program: string
  readonly clock: Clock
  readonly log: Log
  /** SHUTDOWN at the console of a worker. */
  readonly onShutdown: (how: ShutdownWay) => void
  /** Sockets that it was started with are lost, and no worker can open new ones. */
  readonly onSocketsLost: (error: WorkerError) => void
}

/** Why no worker could be started, in words for the operator. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError'
}

interface Member {
  readonly slot: number
  readonly process: Worker
  readonly startedMs: number
  /** It has its settings; from here on it is told what it has to know. */
  isStarted: boolean
  /** null: it is not ready yet. */
  ports: OpenPorts | null
  readonly onReady: (ports: OpenPorts) => void
  readonly onFailed: (error: WorkerError) => void
}

const replaceMsMin = 100
const replaceMsMax = 5000
/** A worker that lived so long did not die of what its start was like. */
const provenMs = 10_000
const assignCheckMs = 10
/** A worker takes a connection as soon as it comes to it. */
const assignMsMax = 5_000

export class Primary {
  readonly #options: PrimaryOptions
  /** By cluster's own number, which is never used again. */
  readonly #members = new Map<number, Member>()
  readonly #office: PermitOffice
  readonly #exchange: Exchange
  readonly #sockets = new FrontSockets()
  readonly #holds = new PoolHolds()
  readonly #failures = new Map<number, number>()
  #isEnding = false
  /** null: none has served yet. */
  #ports: OpenPorts | null = null
  /** Starts of the others, until the first one serves. */
  readonly #held: (() => void)[] = []
  #onAllGone: () => void = () => {}
  /** Else it would end, and quietly, between the death of its last worker and the next one. */
  readonly #letProcessGo = keepProcessUp()

  private constructor(options: PrimaryOptions) {
    const { clock } = options
    this.#options = options
    this.#office = new PermitOffice({
      clock,
      send: (worker, order) => this.#send(worker, { kind: 'order', order }),
    })
    this.#exchange = new Exchange({
      clock,
      // What is held back must hold from the first client of a worker on.
      workers: ({ name }) => (name === 'held' ? this.#started : this.#ready),
      send: (worker, message) => this.#send(worker, message),
    })
  }

  /** Fulfilled when all workers serve. Throws WorkerError when one cannot; none is left then. */
  static async start(options: PrimaryOptions): Promise<Primary> {
    cluster.schedulingPolicy = cluster.SCHED_RR
    cluster.setupPrimary({ exec: options.program, args: [] })
    const primary = new Primary(options)
    try {
      const slots = Array.from({ length: options.count }, (_slot, index) => index)
      await Promise.all(slots.map((slot) => primary.#spawn(slot)))
      return primary
    } catch (error) {
      await primary.stop()
      throw error
    }
  }

  get ports(): OpenPorts {
    if (this.#ports === null) throw new WorkerError('no worker is ready')
    return this.#ports
  }

  /** Each worker lets transactions finish, tells the idle and stops. */
  drain(): Promise<void> {
    return this.#end('drain')
  }

  shutDown(how: ShutdownWay): Promise<void> {
    return this.#end(how)
  }

  /** What it listens on; null where it cannot be told. */
  get descriptors(): Readonly<Record<SocketName, number>> | null {
    return this.#ports === null ? null : this.#sockets.descriptors(this.#ports)
  }

  /** Another process has our sockets and serves: who is here finishes, whoever comes now comes there. */
  async handOver(): Promise<void> {
    this.#isEnding = true
    const { clock } = this.#options
    this.#sockets.close()
    // Those who were accepted already would be lost if all workers closed their ends now.
    const endMs = clock.monotonicMs() + assignMsMax
    while (this.#sockets.unassigned > 0 && clock.monotonicMs() < endMs)
      await sleep(clock, assignCheckMs)
    await this.#end('hand over')
  }

  /** Certificates are read again by all. Rejects with what the first says who cannot use them. */
  async reload(): Promise<void> {
    const call: Call = { name: 'reload', asked: null, withinMs: answersWithinMs }
    const { all, missing } = await new Promise<Answers>((resolve) =>
      this.#exchange.ask(null, call, resolve),
    )
    const fault = all.find((one) => one.fault !== null)?.fault
    if (fault !== undefined) throw new WorkerError(fault ?? '')
    if (missing > 0) throw new WorkerError(`${missing} workers did not answer`)
  }

  /** At once, whatever they do. */
  async stop(): Promise<void> {
    this.abort()
    await this.#allGone()
  }

  /** As `stop`, without waiting. */
  abort(): void {
    this.#isEnding = true
    for (const { process } of this.#members.values()) process.process.kill('SIGKILL')
  }

  get #env(): Environment {
    const { env } = this.#options
    return this.#sockets.haveBeenLost ? withoutInheritance(env) : env
  }

  get #ready(): number[] {
    return [...this.#members].filter(([, { ports }]) => ports !== null).map(([worker]) => worker)
  }

  get #started(): number[] {
    return [...this.#members].filter(([, one]) => one.isStarted).map(([worker]) => worker)
  }

  async #end(how: Parting): Promise<void> {
    this.#isEnding = true
    for (const [worker, { ports, process }] of this.#members) {
      // One that does not serve yet has nobody to part from.
      if (ports === null) process.process.kill('SIGKILL')
      else this.#send(worker, { kind: 'stop', how })
    }
    await this.#allGone()
  }

  #allGone(): Promise<void> {
    if (this.#members.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onAllGone = resolve
    })
  }

  #spawn(slot: number): Promise<OpenPorts> {
    return new Promise((onReady, onFailed) => {
      const child = cluster.fork()
      const startedMs = this.#options.clock.monotonicMs()
      const member: Member = {
        slot,
        process: child,
        startedMs,
        isStarted: false,
        ports: null,
        onReady,
        onFailed,
      }
      this.#members.set(child.id, member)
      child.on('message', (message: ToPrimary) => {
        if (this.#members.has(child.id)) this.#onMessage(child.id, member, message)
      })
      child.on('error', (error) => {
        this.#options.log.warn({ err: error, worker: child.id }, 'a worker could not be reached')
      })
      child.once('exit', (code, signal) => this.#onExit(child.id, member, signal ?? code))
    })
  }

  #onMessage(worker: number, member: Member, message: ToPrimary): void {
    const { count, onShutdown } = this.#options
    switch (message.kind) {
      case 'hello': {
        const place = { worker, slot: member.slot, of: count }
        const go = (): void => {
          member.isStarted = true
          this.#send(worker, { kind: 'start', env: this.#env, place, held: this.#holds.all })
        }
        // The first one goes first: it brings the metadata up to date, and says why a port cannot be had.
        if (member.slot === 0 || this.#ports !== null) go()
        else this.#held.push(go)
        return
      }
      case 'ready':
        member.ports = message.ports
        this.#ports ??= message.ports
        for (const go of this.#held.splice(0)) go()
        for (const other of this.#ready) {
          if (other !== worker) this.#send(other, { kind: 'joined', worker })
        }
        member.onReady(message.ports)
        return
      case 'failed':
        member.onFailed(new WorkerError(message.text))
        return
      case 'permits':
        this.#office.onReport(worker, message.report)
        return
      case 'call':
        this.#exchange.ask(worker, message.call, (answers) => {
          if (message.id !== null) this.#send(worker, { kind: 'answers', id: message.id, answers })
        })
        return
      case 'hold':
        this.#hold(worker, message.id, message.change)
        return
      case 'answer':
        this.#exchange.onAnswer(worker, message.id, message.answer)
        return
      case 'shutdown':
        onShutdown(message.how)
    }
  }

  /** In one order for all, whichever console it comes from. */
  #hold(worker: number, id: number, change: HoldChange): void {
    const answer = (answers: Answers): void => this.#send(worker, { kind: 'answers', id, answers })
    try {
      this.#holds.change(change)
    } catch (error) {
      if (!(error instanceof PoolerError)) throw error
      answer({ all: [{ worker, answer: null, fault: error.message }], missing: 0 })
      return
    }
    const call: Call = { name: 'held', asked: this.#holds.all, withinMs: answersWithinMs }
    this.#exchange.ask(null, call, answer)
  }

  #onExit(worker: number, member: Member, how: number | string): void {
    const { log, clock } = this.#options
    this.#members.delete(worker)
    this.#office.onWorkerGone(worker)
    this.#exchange.onWorkerGone(worker)
    for (const other of this.#ready) this.#send(other, { kind: 'left', worker })
    member.onFailed(new WorkerError(`a worker ended with ${how} before it was ready`))
    if (this.#isEnding) {
      if (this.#members.size === 0) {
        this.#letProcessGo()
        this.#onAllGone()
      }
      return
    }
    // Before the first has ever served, whoever started it is told, and nothing is tried again.
    if (this.#ports === null) return
    const isProven = clock.monotonicMs() - member.startedMs > provenMs
    const failures = isProven ? 0 : (this.#failures.get(member.slot) ?? 0)
    this.#failures.set(member.slot, failures + 1)
    const delayMs = Math.min(replaceMsMax, replaceMsMin * 2 ** failures)
    log.error({ worker, how, delayMs }, 'a worker has ended; another takes its place')
    clock.after(delayMs, () => {
      if (this.#isEnding) return
      this.#spawn(member.slot).then(
        () => log.info({ slot: member.slot }, 'a worker has taken the place of another'),
        (error: WorkerError) => {
          log.error({ err: error }, 'a worker could not be started')
          const { env, onSocketsLost } = this.#options
          const isInherited = env.LISTEN_FDS !== undefined
          if (isInherited && this.#sockets.haveBeenLost && this.#ready.length === 0)
            onSocketsLost(error)
        },
      )
    })
  }

  #send(worker: number, message: ToWorker): void {
    const process = this.#members.get(worker)?.process
    // What it is told while it dies is for nobody: its exit is told in its own way.
    if (process?.isConnected()) process.process.send?.(message, undefined, undefined, () => {})
  }
}

// The process in front of several workers: hears what they say, passes their words on, hands out permits,
// and ends them. It holds the ports (node:cluster) and no client. Signals are main.ts's.
import cluster from 'node:cluster'
import { type Clock, sleep } from '../../shared/clock.ts'
import { PoolerError } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'
import type { ShutdownWay } from '../admin/admin-view.ts'
import { type CancelElsewhere, cancelWithinMs } from '../cancel/cancel-requests.ts'
import { type SocketName, withoutInheritance } from '../config/inherited-sockets.ts'
import type { Environment } from '../config/load-config.ts'
import { type HoldChange, PoolHolds } from '../pool/pool-holds.ts'
import { version } from '../version.ts'
import { Exchange } from './exchange.ts'
import { FrontSockets } from './front-sockets.ts'
import { PermitOffice } from './permit-office.ts'
import { WorkerCrew } from './worker-crew.ts'
import { answersWithinMs } from './worker-link.ts'
import type { Answer, Answers, Asked, Call, OpenPorts, ToPrimary } from './worker-messages.ts'
import { WorkerError, type WorkerProcess } from './worker-process.ts'
import { isCallName, readWorkerWords, WorkerFault } from './worker-words.ts'

export interface PrimaryOptions {
  readonly count: number
  /** What the workers read their settings from. */
  readonly env: Environment
  /** The program that a worker runs. */
  readonly program: string
  readonly clock: Clock
  readonly log: Log
  /** Asked for keys that one worker does not know, beside the others. */
  readonly cancelElsewhere?: CancelElsewhere | undefined
  /** SHUTDOWN at the console of a worker. */
  readonly onShutdown: (how: ShutdownWay) => void
  /** Sockets that it was started with are lost, and no worker can open new ones. */
  readonly onSocketsLost: (error: WorkerError) => void
}

const assignCheckMs = 10
/** A worker takes a connection as soon as it comes to it. */
const assignMsMax = 5_000

export class Primary {
  readonly #options: PrimaryOptions
  readonly #crew: WorkerCrew
  readonly #office: PermitOffice
  readonly #exchange: Exchange
  readonly #sockets = new FrontSockets()
  readonly #holds = new PoolHolds()
  /** null: none has served yet. */
  #ports: OpenPorts | null = null
  /** Starts of the others, until the first one serves. */
  readonly #held: (() => void)[] = []

  private constructor(options: PrimaryOptions) {
    const { clock, log } = options
    this.#options = options
    this.#crew = new WorkerCrew({
      clock,
      log,
      onWords: (worker, words) => {
        const message = readWorkerWords(words)
        if (message !== null) this.#onMessage(worker, message)
      },
      onGone: (worker) => this.#onGone(worker),
      onNotReplaced: (error) => this.#onNotReplaced(error),
    })
    this.#office = new PermitOffice({
      clock,
      send: (worker, order) => this.#crew.get(worker)?.send({ kind: 'order', order }),
    })
    this.#exchange = new Exchange({
      clock,
      // What is held back must hold from the first client of a worker on.
      workers: ({ name }) => {
        const asked = name === 'held' ? this.#crew.started : this.#crew.ready
        return asked.map(({ id }) => id)
      },
      send: (worker, message) => this.#crew.get(worker)?.send(message),
    })
  }

  /** Fulfilled when all workers serve. Throws WorkerError when one cannot; none is left then. */
  static async start(options: PrimaryOptions): Promise<Primary> {
    cluster.schedulingPolicy = cluster.SCHED_RR
    cluster.setupPrimary({ exec: options.program, args: [] })
    const primary = new Primary(options)
    try {
      const slots = Array.from({ length: options.count }, (_slot, index) => index)
      await Promise.all(slots.map((slot) => primary.#crew.spawn(slot)))
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
    return this.#crew.end('drain')
  }

  shutDown(how: ShutdownWay): Promise<void> {
    return this.#crew.end(how)
  }

  /** What it listens on; null where it cannot be told. */
  get descriptors(): Readonly<Record<SocketName, number>> | null {
    return this.#ports === null ? null : this.#sockets.descriptors(this.#ports)
  }

  /** Another process has our sockets and serves: who is here finishes, whoever comes now comes there. */
  async handOver(): Promise<void> {
    this.#crew.beginEnd()
    const { clock } = this.#options
    this.#sockets.close()
    // Those who were accepted already would be lost if all workers closed their ends now.
    const endMs = clock.monotonicMs() + assignMsMax
    while (this.#sockets.unassigned > 0 && clock.monotonicMs() < endMs)
      await sleep(clock, assignCheckMs)
    await this.#crew.end('hand over')
  }

  /** Passed on by the successor, which does not know the key; nor may a worker here. */
  readonly cancel: CancelElsewhere = async (processId, secret) => {
    const asked: Asked<'cancel'> = { processId, secret: secret.toString('hex') }
    const call: Call = { name: 'cancel', asked, withinMs: cancelWithinMs }
    const [{ all }, isKnownElsewhere] = await Promise.all([
      new Promise<Answers>((resolve) => this.#exchange.ask(null, call, resolve)),
      this.#options.cancelElsewhere?.(processId, secret),
    ])
    return isKnownElsewhere === true || all.some(({ answer }) => answer === true)
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
    this.#crew.kill()
    await this.#crew.allGone()
  }

  /** As `stop`, without waiting. */
  abort(): void {
    this.#crew.kill()
  }

  get #env(): Environment {
    const { env } = this.#options
    return this.#sockets.haveBeenLost ? withoutInheritance(env) : env
  }

  #onMessage(worker: WorkerProcess, message: ToPrimary): void {
    switch (message.kind) {
      case 'hello':
        this.#greet(worker, message.version)
        return
      case 'ready':
        worker.ready(message.ports)
        this.#ports ??= message.ports
        for (const go of this.#held.splice(0)) go()
        for (const other of this.#crew.ready) {
          if (other !== worker) other.send({ kind: 'joined', worker: worker.id })
        }
        return
      case 'failed':
        worker.fail(message.text)
        return
      case 'permits':
        this.#office.onReport(worker.id, message.report)
        return
      case 'call':
        this.#call(worker, message.id, message.call)
        return
      case 'hold':
        this.#hold(worker, message.id, message.change)
        return
      case 'answer':
        this.#exchange.onAnswer(worker.id, message.id, message.answer)
        return
      case 'shutdown':
        this.#options.onShutdown(message.how)
    }
  }

  #greet(worker: WorkerProcess, itsVersion: string): void {
    if (worker.hasGreeted) throw new WorkerFault('a second message "hello"')
    worker.hasGreeted = true
    const { count, log } = this.#options
    const { id, slot } = worker
    if (itsVersion !== version) {
      const text =
        'a worker runs another version than the process in front of it; SIGUSR2 renews both'
      log.warn({ worker: id, version, itsVersion }, text)
    }
    const place = { worker: id, slot, of: count }
    const go = (): void => {
      worker.isStarted = true
      worker.send({ kind: 'start', env: this.#env, place, held: this.#holds.all })
    }
    // The first one goes first: it brings the metadata up to date, and says why a port cannot be had.
    if (slot === 0 || this.#ports !== null) go()
    else this.#held.push(go)
  }

  #call(worker: WorkerProcess, id: number | null, call: Call): void {
    const answer = (answers: Answers): void => {
      if (id !== null) worker.send({ kind: 'answers', id, answers })
    }
    if (call.name === 'cancel') {
      const elsewhere = this.#cancelElsewhere(call.asked)
      this.#exchange.ask(worker.id, call, ({ all, missing }) => {
        void elsewhere.then((one) => answer({ all: [...all, one], missing }))
      })
    } else if (isCallName(call.name)) this.#exchange.ask(worker.id, call, answer)
    else answer(refusal(worker, `no worker may ask "${call.name}" here`))
  }

  /** As one more answer. */
  async #cancelElsewhere(asked: unknown): Promise<Answer> {
    const { processId, secret } = (asked ?? {}) as Partial<Asked<'cancel'>>
    const cancel = this.#options.cancelElsewhere
    const isAsked =
      cancel !== undefined && typeof processId === 'number' && typeof secret === 'string'
    const answer = isAsked && (await cancel(processId, Buffer.from(secret, 'hex')))
    return { worker: 0, answer, fault: null }
  }

  /** In one order for all, whichever console it comes from. */
  #hold(worker: WorkerProcess, id: number, change: HoldChange): void {
    const answer = (answers: Answers): void => worker.send({ kind: 'answers', id, answers })
    try {
      this.#holds.change(change)
    } catch (error) {
      if (!(error instanceof PoolerError)) throw error
      answer(refusal(worker, error.message))
      return
    }
    const call: Call = { name: 'held', asked: this.#holds.all, withinMs: answersWithinMs }
    this.#exchange.ask(null, call, answer)
  }

  #onGone({ id }: WorkerProcess): void {
    this.#office.onWorkerGone(id)
    this.#exchange.onWorkerGone(id)
    this.#options.clock.after(assignMsMax, this.#sockets.onWorkerGone())
    for (const other of this.#crew.ready) other.send({ kind: 'left', worker: id })
  }

  #onNotReplaced(error: WorkerError): void {
    const { env, onSocketsLost } = this.#options
    const isInherited = env.LISTEN_FDS !== undefined
    if (isInherited && this.#sockets.haveBeenLost && this.#crew.ready.length === 0)
      onSocketsLost(error)
  }
}

const refusal = ({ id }: WorkerProcess, fault: string): Answers => ({
  all: [{ worker: id, answer: null, fault }],
  missing: 0,
})

// A program: thousands of clients that ask a small question again and again. They share Latchkey's own
// way to sockets below Node's streams, so that they take as little as they can from what is measured.
import { setTimeout as pause } from 'node:timers/promises'
import { openHandleTransport } from '../../pooler/relay/handle-transport.ts'
import type { Transport, TransportReader } from '../../pooler/relay/transport.ts'
import { query } from '../../shared/protocol/frontend-messages.ts'
import { backend } from '../../shared/protocol/message-types.ts'
import type { Address } from './address.ts'
import { answerRequests } from './helper-process.ts'
import { WireClient } from './wire-client.ts'

export type CrowdRequest =
  | { readonly do: 'open'; readonly address: Address; readonly clients: number }
  | ({ readonly do: 'begin'; readonly mark: string } & CrowdLoad)
  | { readonly do: 'end' }

export interface CrowdLoad {
  /** Of each client between an answer and its next question, on average; 0: none. */
  readonly pauseMs: number
  /** For which a question keeps its server, by sleeping there; 0: it is answered at once. */
  readonly heldMs: number
}

/** Of the time between `begin` and `end`; those who still wait are waited for then. */
export interface CrowdReport {
  readonly answers: number
  readonly errors: number
  readonly seconds: number
}

/** Logins at a time. */
const lanes = 16
/** In which they begin one after the other. */
const beginMs = 500
/** Pauses have so many lengths, because timers of one length are cheap. */
const pauseLengths = 64
const lookPeriodMs = 20

const crowd: Member[] = []
let pauseMs = 0
let question = query('')
let isAsking = false
let answers = 0
let errors = 0
let beganMs = 0

class Member implements TransportReader {
  readonly #transport: Transport
  /** Of the answer to a first question; all others are as long. */
  #answerBytes = 0
  #bytes = 0
  #isOpen = true
  #isAnswerDue = false
  #timer: NodeJS.Timeout | undefined

  constructor(client: WireClient) {
    this.#transport = openHandleTransport(client.release(), this)
  }

  get isAnswerDue(): boolean {
    return this.#isOpen && this.#isAnswerDue
  }

  begin(): void {
    this.#answerBytes = 0
    this.#askIn(Math.random() * Math.max(pauseMs, beginMs))
  }

  onTransportData(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (chunk[0] === backend.errorResponse) errors++
    if (this.#answerBytes === 0 && endsWithReady(chunk)) this.#answerBytes = this.#bytes
    if (this.#bytes !== this.#answerBytes) return
    answers++
    this.#bytes = 0
    this.#isAnswerDue = false
    if (pauseMs === 0) this.#ask()
    else this.#askIn(pauseOf())
  }

  onTransportDrain(): void {}

  onTransportClosed(): void {
    if (this.#isOpen) errors++
    this.#isOpen = false
  }

  onTransportFault(): void {
    errors++
  }

  #askIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#ask, ms)
  }

  readonly #ask = (): void => {
    if (!isAsking || !this.#isOpen || this.#isAnswerDue) return
    this.#isAnswerDue = true
    this.#transport.write(question)
  }
}

const endsWithReady = (chunk: Buffer): boolean => chunk.at(-6) === backend.readyForQuery

/** From nothing to twice the average. */
const pauseOf = (): number =>
  Math.round((Math.ceil(Math.random() * pauseLengths) / pauseLengths) * 2 * pauseMs)

async function open(address: Address, clients: number): Promise<void> {
  let opening = crowd.length
  const lane = async (): Promise<void> => {
    while (opening < clients) {
      opening++
      crowd.push(new Member(await WireClient.open(address, false)))
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

answerRequests(async (request: CrowdRequest): Promise<CrowdReport | undefined> => {
  if (request.do === 'open') {
    await open(request.address, request.clients)
    return undefined
  }
  if (request.do === 'begin') {
    const { heldMs } = request
    pauseMs = request.pauseMs
    const asked = heldMs === 0 ? '1' : `pg_sleep(${heldMs / 1000})`
    question = query(`SELECT ${asked} AS ${request.mark}`)
    isAsking = true
    answers = 0
    errors = 0
    beganMs = performance.now()
    for (const member of crowd) member.begin()
    return undefined
  }
  isAsking = false
  const seconds = (performance.now() - beganMs) / 1000
  const answered = answers
  while (crowd.some(({ isAnswerDue }) => isAnswerDue)) await pause(lookPeriodMs)
  return { answers: answered, errors, seconds }
})

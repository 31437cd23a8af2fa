// Who may still come in: all connections of the process, and those that have not logged in yet, in
// all and per source, so that a flood of half-open connections leaves room for everybody else.
// Counts only; answering and closing is the caller's. Limits of roles and tenants are elsewhere.
import { PoolerError } from '../../shared/errors.ts'
import { type Moves, StateMachine } from '../../shared/state-machine.ts'
import { beforeLoginFloor } from '../config/limits.ts'
import { sourceKey } from './address-filter.ts'

export interface QuotaLimits {
  /** All connections, logged in or not. */
  readonly clientsMax: number
  readonly beforeLoginMax: number
  readonly beforeLoginPerSourceMax: number
}

/** Half of all may be strangers, and half of those from one source, such as a restarting application. */
export function quotaLimitsFor(clientsMax: number): QuotaLimits {
  const share = (part: number): number => Math.max(beforeLoginFloor, Math.ceil(clientsMax * part))
  return { clientsMax, beforeLoginMax: share(0.5), beforeLoginPerSourceMax: share(0.25) }
}

type AdmissionState = 'before-login' | 'logged-in' | 'left'

const moves: Moves<AdmissionState> = {
  'before-login': ['logged-in', 'left'],
  'logged-in': ['left'],
  left: [],
}

export class ConnectionQuota {
  readonly #limits: QuotaLimits
  readonly #roomElsewhere: () => number
  #loggedIn = 0
  #beforeLogin = 0
  /** Only sources with somebody before login: at most `beforeLoginMax`. */
  readonly #bySource = new Map<string, number>()

  /** `roomElsewhere`: what other workers leave of what all may have together. */
  constructor(limits: QuotaLimits, roomElsewhere = () => Number.POSITIVE_INFINITY) {
    this.#limits = limits
    this.#roomElsewhere = roomElsewhere
  }

  get loggedInCount(): number {
    return this.#loggedIn
  }

  get beforeLoginCount(): number {
    return this.#beforeLogin
  }

  /** Counts a connection in; its admission must be left when it closes. Throws EMAXCONNPROCESS. */
  admit(address: string): Admission {
    const { clientsMax, beforeLoginMax, beforeLoginPerSourceMax } = this.#limits
    const count = this.#loggedIn + this.#beforeLogin
    if (count >= clientsMax) throw full(`it has ${clientsMax}`)
    if (count >= this.#roomElsewhere()) throw full('its workers have CLIENTS_MAX')
    if (this.#beforeLogin >= beforeLoginMax) {
      throw full(`${beforeLoginMax} are still logging in`)
    }
    const source = sourceKey(address)
    const companions = this.#bySource.get(source) ?? 0
    if (companions >= beforeLoginPerSourceMax) {
      throw full(`${beforeLoginPerSourceMax} from your address are still logging in`)
    }
    this.#bySource.set(source, companions + 1)
    this.#beforeLogin++
    return new Admission({
      onLogin: () => {
        this.#leaveLogin(source)
        this.#loggedIn++
      },
      onLeave: (hasLoggedIn) => {
        if (hasLoggedIn) this.#loggedIn--
        else this.#leaveLogin(source)
      },
    })
  }

  #leaveLogin(source: string): void {
    this.#beforeLogin--
    const left = (this.#bySource.get(source) ?? 1) - 1
    if (left === 0) this.#bySource.delete(source)
    else this.#bySource.set(source, left)
  }
}

interface AdmissionEvents {
  onLogin(): void
  onLeave(hasLoggedIn: boolean): void
}

/** One connection's place in the quota. */
export class Admission {
  readonly #events: AdmissionEvents
  readonly #machine = new StateMachine<AdmissionState>('connection', moves, 'before-login')

  constructor(events: AdmissionEvents) {
    this.#events = events
  }

  /** Once, when AuthenticationOk is sent. */
  logIn(): void {
    this.#machine.moveTo('logged-in')
    this.#events.onLogin()
  }

  /** When the socket has closed; a second call does nothing, as a socket may end in several ways. */
  leave(): void {
    if (!this.#machine.canMoveTo('left')) return
    const hasLoggedIn = this.#machine.state === 'logged-in'
    this.#machine.moveTo('left')
    this.#events.onLeave(hasLoggedIn)
  }
}

function full(reason: string): PoolerError {
  return new PoolerError('EMAXCONNPROCESS', { values: { reason } })
}

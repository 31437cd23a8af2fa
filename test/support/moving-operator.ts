// An operator who changes a project at random while it is in use, over the API and the console.
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { sleep, systemClock } from '../../shared/clock.ts'
import { codeOf } from './console-world.ts'
import { eventually } from './eventually.ts'
import { noteSecret } from './known-secrets.ts'
import { type MovingProject, noLimit } from './moving-project.ts'
import type { SeededRandom } from './seeded-random.ts'

const sizeAtRest = 20
const askedMsMax = 1100

export class MovingOperator {
  readonly #project: MovingProject
  readonly #console: pg.Client
  /** For what is done while a command of the other waits. */
  readonly #otherConsole: pg.Client
  readonly #random: SeededRandom

  constructor(
    project: MovingProject,
    consoles: readonly [pg.Client, pg.Client],
    random: SeededRandom,
  ) {
    this.#project = project
    this.#console = consoles[0]
    this.#otherConsole = consoles[1]
    this.#random = random
  }

  async act(): Promise<void> {
    const random = this.#random
    const what = random.weighted({
      move: 8,
      moveTwice: 4,
      rotate: 3,
      pause: 2,
      kill: 1,
      ban: 1,
      makeAnew: 1,
      terminate: 1,
      resize: 2,
      limit: 1,
      reconnect: 1,
      killServers: 3,
      rotateManager: this.#isAsked ? 2 : 0,
    })
    this.#project.ledger.note(what)
    await this.#do(what)
    this.#project.ledger.note(`${what} is done`)
    await sleep(systemClock, random.int(60))
  }

  /** All is as it should be, and stays. */
  async rest(): Promise<void> {
    const { place, places, poolSize, maxClients } = this.#project
    if (place.last.kind !== 'serves') place.begin(this.#random.pick(places.serving))
    // In session mode all are to have one at once.
    poolSize.begin(sizeAtRest)
    maxClients.begin(noLimit)
    const isLoggedIn = this.#awaitLogins()
    await this.#put()
    await isLoggedIn()
    this.#project.ledger.note('rest')
  }

  #do(what: string): Promise<void> {
    switch (what) {
      case 'move':
        return this.#move(1)
      case 'moveTwice':
        return this.#move(2 + this.#random.int(2))
      case 'rotate':
        return this.#rotate()
      case 'pause':
        return this.#pause()
      case 'kill':
        return this.#kill()
      case 'ban':
        return this.#ban()
      case 'makeAnew':
        return this.#makeAnew()
      case 'rotateManager':
        return this.#rotateManager()
      case 'terminate':
        return this.#terminate()
      case 'resize':
        this.#project.poolSize.begin(1 + this.#random.int(4))
        return this.#put()
      case 'limit':
        return this.#limit()
      case 'reconnect':
        return this.#project.command(this.#console, 'reconnect').then(() => {})
      default:
        return this.#killServers()
    }
  }

  async #put(...passwordsOf: string[]): Promise<void> {
    await this.#project.put(...passwordsOf)
    await this.#project.confirm()
  }

  /** Without waiting for the process to know of those in between. */
  async #move(times: number): Promise<void> {
    const isLoggedIn = this.#awaitLogins()
    await this.#moveAbout(times)
    await isLoggedIn()
  }

  async #moveAbout(times: number): Promise<void> {
    const { place, places, database, ledger } = this.#project
    const random = this.#random
    for (let left = times; left > 0; left--) {
      const isServing = random.chance(0.7)
      place.begin(random.pick(isServing ? places.serving : places.all))
      if (random.chance(0.15)) database.begin(random.pick(places.databases))
      ledger.note(`to ${JSON.stringify(place.last)} ${database.last}`)
      await this.#project.put()
      await sleep(systemClock, random.int(8))
    }
    await this.#project.confirm()
    if (place.last.kind === 'serves') return
    await sleep(systemClock, random.int(200))
    place.begin(random.pick(places.serving))
    ledger.note(`back to ${JSON.stringify(place.last)}`)
    await this.#put()
  }

  get #isAsked(): boolean {
    return this.#project.passwords === 'asked for'
  }

  /**
   * Where passwords are asked for, servers are opened with what a login at that place has left: without one there since
   * the change they cannot be. What it returns logs in.
   */
  #awaitLogins(): () => Promise<void> {
    if (!this.#isAsked) return async () => {}
    const isOver = this.#project.ledger.begin('mismatch')
    return async () => {
      for (const role of this.#project.places.roles) await this.#project.logIn(role)
      isOver(true)
    }
  }

  async #rotateManager(): Promise<void> {
    const { ledger, places } = this.#project
    const isOver = ledger.begin('manager')
    await this.#replacePassword(places.manager, async () => {
      await this.#project.putManager()
      await this.#project.confirm()
    })
    isOver(true)
  }

  /** In either order. `store`: in the metadata. */
  async #replacePassword(role: string, store: () => Promise<void>): Promise<void> {
    const password = randomBytes(12).toString('hex')
    noteSecret(password)
    this.#project.passwordsOf(role).begin(password)
    const steps = [() => this.#project.places.setPassword(role, password), store]
    if (this.#random.chance(0.5)) steps.reverse()
    for (const step of steps) {
      await step()
      await sleep(systemClock, this.#random.int(40))
    }
  }

  /** What was asked of the database may be used for a second. */
  async #rotateAsked(role: string): Promise<void> {
    const rotated = this.#project.ledger.begin('rotating', role)
    const isLoggedIn = this.#awaitLogins()
    await this.#replacePassword(role, async () => {})
    await sleep(systemClock, askedMsMax)
    await this.#project.liftThrottle()
    rotated()
    await isLoggedIn()
  }

  async #rotate(): Promise<void> {
    const { ledger, places } = this.#project
    const role = this.#random.pick(places.roles)
    if (this.#isAsked) return this.#rotateAsked(role)
    const matched = ledger.begin('mismatch', role)
    const rotated = ledger.begin('rotating', role)
    await this.#replacePassword(role, () => this.#put(role))
    matched(true)
    rotated(true)
    await this.#project.liftThrottle()
  }

  /** A PAUSE that has been answered leaves no server, and none comes until RESUME. */
  async #pause(): Promise<void> {
    let isPaused: boolean | null = null
    const answered = codeOf(this.#project.command(this.#console, 'pause')).then((code) => {
      isPaused = code === 'none'
      return code
    })
    await sleep(systemClock, 20 + this.#random.int(150))
    if (isPaused === true) {
      await eventually(async () => {
        const left = await this.#project.places.backends()
        if (left.length > 0) throw new Error(`paused, and there are ${left.join()}`)
      })
    }
    await this.#project.command(this.#otherConsole, 'resume')
    const code = await answered
    if (!/^none$|it was resumed meanwhile/.test(code)) throw new Error(`PAUSE: ${code}`)
  }

  async #kill(): Promise<void> {
    const isOver = this.#project.ledger.begin('killed')
    await this.#project.command(this.#console, 'kill')
    isOver()
    await sleep(systemClock, this.#random.int(40))
    await this.#project.command(this.#console, 'resume')
  }

  async #ban(): Promise<void> {
    const isOver = this.#project.ledger.begin('banned')
    await this.#project.setBan('unpaid')
    await this.#project.confirm()
    await sleep(systemClock, this.#random.int(40))
    await this.#project.setBan(null)
    await this.#project.confirm()
    isOver()
  }

  async #makeAnew(): Promise<void> {
    const isOver = this.#project.ledger.begin('deleted')
    const mayBeSeen = this.#random.chance(0.5)
    const isLoggedIn = this.#awaitLogins()
    await this.#project.remove()
    if (mayBeSeen) await sleep(systemClock, this.#random.int(60))
    const { roles, manager } = this.#project.places
    await this.#put(...roles, manager)
    isOver()
    await isLoggedIn()
  }

  async #terminate(): Promise<void> {
    const isOver = this.#project.ledger.begin('terminated')
    await this.#project.terminate()
    isOver()
  }

  async #limit(): Promise<void> {
    const { maxClients } = this.#project
    maxClients.begin(2 + this.#random.int(6))
    await this.#put()
    await sleep(systemClock, this.#random.int(100))
    maxClients.begin(noLimit)
    await this.#put()
  }

  async #killServers(): Promise<void> {
    const { ledger, places } = this.#project
    const backends = await places.backends()
    if (backends.length === 0) return
    for (let left = 1 + this.#random.int(3); left > 0; left--) {
      const backend = this.#random.pick(backends)
      const isOver = ledger.begin('server killed', null, backend)
      await places.killBackend(backend)
      await eventually(() => !this.#project.servers.includes(backend))
      isOver()
    }
  }
}

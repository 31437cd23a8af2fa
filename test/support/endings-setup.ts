// A running pooler with a project made anew for each test: its owner, somebody who is in with a
// token, and applications of the same role beside them.
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { catalogue } from '../../shared/error-catalogue.ts'
import { type Door, PersonSession } from './person-session.ts'
import type { RawClient } from './raw-client.ts'
import { type ApiAnswer, type Mode, RunningPooler } from './running-pooler.ts'
import type { TestPerson, TestProject } from './running-projects.ts'
import { SteeredClock } from './steered-clock.ts'

interface World {
  readonly project: TestProject
  readonly owner: TestPerson
  readonly person: TestPerson
}

export class EndingsSetup {
  #pooler: RunningPooler | null = null
  #world: World | null = null
  readonly #open: RawClient[] = []
  readonly clock = new SteeredClock()

  constructor() {
    beforeAll(async () => {
      this.#pooler = await RunningPooler.start({ clock: this.clock })
    })
    afterAll(() => this.#pooler?.stop())
    beforeEach(async () => {
      const project = await this.pooler.project({ input: { enforceSsl: true } })
      const owner = await this.pooler.person(project, { membership: 'owner' })
      this.#world = { project, owner, person: await this.pooler.person(project) }
    })
    afterEach(async () => {
      for (const client of this.#open.splice(0)) client.close()
      await this.pooler.settled()
      this.clock.reset()
    })
  }

  get pooler(): RunningPooler {
    if (this.#pooler === null) throw new Error('no pooler before the first test')
    return this.#pooler
  }

  get project(): TestProject {
    return this.#now.project
  }

  get owner(): TestPerson {
    return this.#now.owner
  }

  get person(): TestPerson {
    return this.#now.person
  }

  get #now(): World {
    if (this.#world === null) throw new Error('no project before the first test')
    return this.#world
  }

  async enter(door: Door = 'transaction', token = this.person.token): Promise<PersonSession> {
    const session = await PersonSession.enter(this.pooler, this.project, token, door)
    this.#open.push(session.client)
    return session
  }

  /** An application of the same role as people. */
  async enterAsApp(mode: Mode = 'transaction'): Promise<RawClient> {
    const { people, ref, database } = this.project
    const client = await this.connect(mode)
    await client.login({ user: `${people.role}.${ref}`, password: people.password, database })
    return client
  }

  async connect(mode: Mode = 'transaction'): Promise<RawClient> {
    const client = await this.pooler.raw({ mode, tls: 'request' })
    this.#open.push(client)
    return client
  }

  /** Of the project's temporary access. */
  path(rest = ''): string {
    return `/v1/projects/${this.project.ref}/database/jit${rest}`
  }

  /** As the owner unless somebody else is named; it has to succeed. */
  async ask(
    method: string,
    where: string,
    body?: unknown,
    bearer = this.owner.token,
  ): Promise<ApiAnswer> {
    const answer = await this.pooler.api(method, where, bearer, body)
    expect(answer.status, answer.text).toBeLessThan(300)
    return answer
  }

  async removeRule(): Promise<void> {
    await this.ask('DELETE', this.path(`/${this.person.userId}`))
  }

  /** The person's rules are these from now on. */
  async putRoles(...roles: readonly object[]): Promise<void> {
    await this.ask('PUT', this.path(), { user_id: this.person.userId, roles })
  }
}

export function expectEnded(fields: Readonly<Record<string, string>>, reason: RegExp): void {
  expect(fields).toMatchObject({ S: 'FATAL', C: '57P01', H: catalogue.EACCESSENDED.hint })
  expect(fields.M).toMatch(/^\(EACCESSENDED\) /)
  expect(fields.M).toMatch(reason)
}

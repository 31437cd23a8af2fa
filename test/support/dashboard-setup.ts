// A browser, and a running pooler with a project made anew for each test, for a file of tests about the
// dashboard. Without Chromium they are skipped. What a page does wrong fails the test that opened it.
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import {
  type Look,
  needsChromium,
  openWindow,
  signIn,
  startBrowser,
  type Window,
} from './browser.ts'
import { RunningPooler } from './running-pooler.ts'
import type { TestPerson, TestProject } from './running-projects.ts'

interface World {
  readonly project: TestProject
  readonly owner: TestPerson
}

export class DashboardSetup {
  #browser: Browser | null = null
  #pooler: RunningPooler | null = null
  #world: World | null = null
  readonly #windows: Window[] = []

  constructor() {
    beforeAll(async () => {
      this.#browser = await startBrowser()
      if (this.#browser !== null) this.#pooler = await RunningPooler.start()
    })
    afterAll(async () => {
      await this.#browser?.close()
      await this.#pooler?.stop()
    })
    beforeEach(async (context) => {
      needsChromium(context)
      const project = await this.pooler.project()
      const owner = await this.pooler.person(project, { membership: 'owner', rules: [] })
      this.#world = { project, owner }
    })
    afterEach(async () => {
      const windows = this.#windows.splice(0)
      for (const { context } of windows) await context.close()
      expect(windows.flatMap(({ faults }) => faults)).toEqual([])
    })
  }

  get pooler(): RunningPooler {
    if (this.#pooler === null) throw new Error('no pooler before the first test')
    return this.#pooler
  }

  get project(): TestProject {
    return this.#now.project
  }

  /** Of the project, without a rule. */
  get owner(): TestPerson {
    return this.#now.owner
  }

  get #now(): World {
    if (this.#world === null) throw new Error('no project before the first test')
    return this.#world
  }

  /** A page in a browser of its own; it goes with the test. */
  async open(look: Look): Promise<Page> {
    const window = await openWindow(this.#browser as Browser, this.pooler.apiUrl, look)
    this.#windows.push(window)
    return window.page
  }

  async signedIn(look: Look, who = this.owner): Promise<Page> {
    const page = await this.open(look)
    await signIn(page, who.token)
    return page
  }

  /** Of a section of the project. */
  path(section: string): string {
    return `/projects/${this.project.ref}/${section}`
  }
}

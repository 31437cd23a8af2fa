// Real Chromium, driven by playwright-core: Debian's package, nothing is downloaded.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core'
import { expect, type TestContext } from 'vitest'
import { patienceMs } from './eventually.ts'
import { isProgramMissing } from './program.ts'

const program = '/usr/bin/chromium'

/** Skips the test, with the reason that `npm test` prints, where Chromium is not installed. */
export function needsChromium(context: TestContext): void {
  context.skip(isProgramMissing(program), 'chromium is not installed')
}

/** null where it is not installed. */
export async function startBrowser(): Promise<Browser | null> {
  if (isProgramMissing(program)) return null
  return await chromium.launch({ executablePath: program, args: ['--no-sandbox'] })
}

export interface Look {
  readonly colorScheme: 'light' | 'dark'
  readonly isPhone: boolean
}

export interface NamedLook extends Look {
  readonly name: string
}

export const looks: readonly NamedLook[] = [
  { name: 'light, on a desk', colorScheme: 'light', isPhone: false },
  { name: 'dark, on a phone', colorScheme: 'dark', isPhone: true },
]

export interface Window {
  readonly context: BrowserContext
  readonly page: Page
  /** What went wrong in the page: errors, and what its own policy refused. */
  readonly faults: string[]
}

/** A browser of its own, with cookies of its own. */
export async function openWindow(browser: Browser, baseURL: string, look: Look): Promise<Window> {
  const context = await browser.newContext({
    baseURL,
    colorScheme: look.colorScheme,
    // Colours on their way to others are no colours to judge.
    reducedMotion: 'reduce',
    locale: 'en-GB',
    viewport: look.isPhone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
    hasTouch: look.isPhone,
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  context.setDefaultTimeout(patienceMs)
  const faults: string[] = []
  const watch = (page: Page) => {
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('console', (message) => {
      // A refusal that the page tells is none of its faults; the browser logs each all the same.
      const isRefusal = message.text().startsWith('Failed to load resource')
      if (message.type() === 'error' && !isRefusal) faults.push(message.text())
    })
  }
  context.on('page', watch)
  return { context, page: await context.newPage(), faults }
}

export async function signIn(page: Page, token: string): Promise<void> {
  await page.goto('/')
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
}

export const rowWith = (page: Page, table: string, text: string): Locator =>
  page.getByRole('table', { name: table }).getByRole('row').filter({ hasText: text })

/** What somebody who looks at a page must be able to read, and a picture of it. */
export async function look(page: Page, name: string, { name: look }: NamedLook): Promise<void> {
  await expectAccessible(page)
  await keepShot(page, `${name} ${look}`)
}

/** With DASHBOARD_SHOTS=folder the journeys leave pictures of what they saw there, to be looked at. */
export async function keepShot(page: Page, name: string): Promise<void> {
  const { DASHBOARD_SHOTS: folder } = process.env
  if (folder !== undefined)
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

let axeSource: string | null = null

/** Nothing that axe-core calls serious or critical. */
export async function expectAccessible(page: Page): Promise<void> {
  axeSource ??= await readFile(createRequire(import.meta.url).resolve('axe-core'), 'utf8')
  // By the debugger, past the page's policy, which lets no foreign script in.
  const isLoaded = await page.evaluate('typeof axe !== "undefined"')
  if (!isLoaded) await page.evaluate(`${axeSource};0`)
  const found = await page.evaluate<
    { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[]
  >('axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations)')
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  const told = serious.map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map((one) => `${one.html} ${one.failureSummary}`).join(' | ')}`,
  )
  expect(told, page.url()).toEqual([])
}

// What the metrics cost where there are many projects: as many series as projects have pools, whatever
// else is asked for, and none of a project that is gone.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Secret } from '../../shared/secret.ts'
import { eventually } from '../support/eventually.ts'
import { type ParsedFamily, parsePrometheusText } from '../support/prometheus-text.ts'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import { ScriptedServer, type Step } from '../support/scripted-server.ts'
import { trustLogin } from '../support/scripted-steps.ts'

const projects = 1000
const atOnce = 25
const refs = Array.from({ length: projects }, (_ref, at) => `tenant${at}`)
const password = 'one-for-all-of-them'

let upstream: ScriptedServer
let pooler: RunningPooler

/** Answers every query, until the pooler leaves. */
const answerAll: Step = async ({ stream }) => {
  for (;;) {
    const { type } = await stream.next()
    if (type === 'X') return stream.close()
    if (type === 'Q')
      await stream.send(Buffer.concat([raw.commandComplete('SELECT 0'), raw.readyForQuery('I')]))
  }
}

beforeAll(async () => {
  upstream = await ScriptedServer.start(() => [...trustLogin(), answerAll], { waitMs: 600_000 })
  pooler = await RunningPooler.start()
  await forEach(refs, async (ref) => {
    await pooler.pooler.control.tenants.put(ref, {
      dbHost: '127.0.0.1',
      dbPort: upstream.port,
      dbDatabase: 'app',
      ipVersion: 'v4',
      users: [{ dbUser: 'app', dbPassword: new Secret(password) }],
    })
  })
  await forEach(refs, (ref) => visit(ref))
  await pooler.settled()
})
afterAll(async () => {
  await pooler.stop()
  await upstream.stop()
})

async function forEach(
  list: readonly string[],
  run: (one: string) => Promise<void>,
): Promise<void> {
  const left = [...list]
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await run(next)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

async function visit(ref: string, role = 'app'): Promise<void> {
  const user = `${role}.${ref}`
  const client = await RawClient.loggedIn({
    port: pooler.portOf(),
    user,
    password,
    database: 'app',
  })
  await client.query('select 1')
  await client.untilReady()
  client.close()
}

async function scrape(): Promise<{ text: string; families: Map<string, ParsedFamily> }> {
  const text = await (await fetch(`${pooler.apiUrl}/metrics`)).text()
  return { text, families: parsePrometheusText(text) }
}

const seriesOf = (families: Map<string, ParsedFamily>, ref?: string): number =>
  [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter(({ labels }) => ref === undefined || labels.tenant === ref).length

test('each of a thousand projects has its series, as many as any other', async () => {
  const { families } = await scrape()
  const transactions = families.get('pooler_transactions_total')?.samples ?? []
  expect(new Set(transactions.map(({ labels }) => labels.tenant))).toEqual(new Set(refs))
  expect(transactions.every(({ value }) => value === 1)).toBe(true)
  const each = seriesOf(families, 'tenant0')
  for (const ref of ['tenant1', 'tenant500', 'tenant999'])
    expect(seriesOf(families, ref)).toBe(each)
  const all = seriesOf(families)
  const ofProcess = all - each * projects
  expect(each).toBeLessThan(100)
  expect(ofProcess).toBeLessThan(300)
})

test('what is merely asked for makes no series', async () => {
  const before = seriesOf((await scrape()).families)
  const guesses = Array.from({ length: 200 }, (_guess, at) => String(at))
  await forEach(guesses, async (guess) => {
    await visit(`nobody${guess}`).catch(() => {})
    await visit('tenant0', `role${guess}`).catch(() => {})
  })
  const { families, text } = await scrape()
  expect(text).not.toMatch(/nobody|role\d/)
  // Codes and reasons that were not there before.
  expect(seriesOf(families) - before).toBeLessThan(10)
})

test('a project that is gone has none, though its clients were in when it went', async () => {
  const client = await RawClient.loggedIn({
    port: pooler.portOf(),
    user: 'app.tenant7',
    password,
    database: 'app',
  })
  expect(seriesOf((await scrape()).families, 'tenant7')).toBeGreaterThan(0)
  expect((await pooler.api('DELETE', '/api/tenants/tenant7', 'api')).status).toBe(204)
  await client.readAll()
  // Its own text: all of them again and again would keep this process from anything else.
  const own = async () => await (await fetch(`${pooler.apiUrl}/metrics/tenant7`)).text()
  await eventually(async () => expect(seriesOf(parsePrometheusText(await own()))).toBe(0))
  expect((await scrape()).text).not.toContain('"tenant7"')
})

// A real Prometheus that scrapes a running pooler, and promtool's opinion of the text, the alerts and
// what the dashboard asks for.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../pooler/embedded/free-port.ts'
import { eventually } from '../support/eventually.ts'
import { needsProgram, Program, runProgram } from '../support/program.ts'
import { parsePrometheusText } from '../support/prometheus-text.ts'
import { RawClient } from '../support/raw-client.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestProject } from '../support/running-projects.ts'

const beside = (name: string): string => resolve(import.meta.dirname, '../../pooler/metrics', name)

let pooler: RunningPooler
let project: TestProject
let folder: string

beforeAll(async () => {
  pooler = await RunningPooler.start()
  project = await pooler.project()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-prometheus-'))
  const { app, ref, database } = project
  const login = {
    port: pooler.portOf(),
    user: `${app.role}.${ref}`,
    password: app.password,
    database,
  }
  const client = await RawClient.loggedIn(login)
  await client.query('select 1')
  await client.untilReady()
  client.close()
  await RawClient.loggedIn({ ...login, password: 'wrong' }).catch(() => {})
  await pooler.settled()
})
afterAll(async () => {
  await pooler?.stop()
  await rm(folder, { recursive: true, force: true })
})

const metrics = async (): Promise<string> => (await fetch(`${pooler.apiUrl}/metrics`)).text()

test('promtool finds nothing to say about the text', async (context) => {
  needsProgram(context, 'promtool')
  const checked = await runProgram('promtool', ['check', 'metrics'], { input: await metrics() })
  expect(checked).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
})

test('the alerts hold what their tests say', async (context) => {
  needsProgram(context, 'promtool')
  const tested = await runProgram('promtool', ['test', 'rules', beside('alert-rules-tests.yml')])
  expect(tested.stdout + tested.stderr).toContain('SUCCESS')
  expect(tested.exitCode).toBe(0)
})

test('alerts and dashboard ask for metrics that there are', async () => {
  const families = parsePrometheusText(await metrics())
  const texts = await Promise.all(
    ['alert-rules.yml', 'grafana-dashboard.json'].map((name) => readFile(beside(name), 'utf8')),
  )
  const asked = new Set(texts.join('\n').match(/pooler_[a-z_]+/g))
  // Told by several workers; worker-metrics.test.ts asks for it.
  const ofWorkers = 'pooler_workers'
  const isThere = (name: string): boolean =>
    name === ofWorkers ||
    families.has(name) ||
    families.has(name.replace(/_(bucket|count|sum)$/, ''))
  expect([...asked].filter((name) => !isThere(name))).toEqual([])
  expect(asked.size).toBeGreaterThan(15)
})

test('Prometheus scrapes it and answers what the dashboard asks', async (context) => {
  needsProgram(context, 'prometheus')
  const port = (await freePort()) as number
  const config = join(folder, 'prometheus.yml')
  await writeFile(
    config,
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [${beside('alert-rules.yml')}]
scrape_configs:
  - job_name: latchkey
    static_configs: [{ targets: ['${new URL(pooler.apiUrl).host}'] }]
`,
  )
  const prometheus = new Program('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn',
  ])
  const ask = async (
    expression: string,
  ): Promise<{ metric: object; value: [number, string] }[]> => {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`
    const answer = await fetch(url)
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
    const { data } = (await answer.json()) as {
      data: { result: { metric: object; value: [number, string] }[] }
    }
    return data.result
  }
  try {
    await eventually(async () => expect(await ask('up{job="latchkey"}')).toHaveLength(1), {})
    await eventually(async () => {
      const [up] = await ask('up{job="latchkey"}')
      expect(up?.value[1]).toBe('1')
    })
    const [transactions] = await ask(`sum(pooler_transactions_total{tenant="${project.ref}"})`)
    expect(Number(transactions?.value[1])).toBeGreaterThan(0)
    expect(await ask('ALERTS{alertstate="firing", alertname!="LatchkeyEventLoopSlow"}')).toEqual([])
    const dashboard = JSON.parse(await readFile(beside('grafana-dashboard.json'), 'utf8')) as {
      panels: { targets?: { expr: string }[] }[]
    }
    for (const { expr } of dashboard.panels.flatMap(({ targets = [] }) => targets)) {
      const filled = expr
        .replaceAll('$tenant', project.ref)
        .replaceAll('$role', '.*')
        .replaceAll('$__rate_interval', '1m')
      await expect(ask(filled), expr).resolves.toBeDefined()
    }
  } finally {
    prometheus.kill()
    await prometheus.finished
  }
})

// A run as one page that needs nothing else: for each case bars of what was measured, with their
// range, and the ratios. Made here and not in the browser, so that it also prints.
import { pairsOf } from './case-text.ts'
import { type Case, errorsIn, extraNames, ratioIn, spreadIn, targetsOf } from './measure.ts'
import type { RunRecord, ScenarioRecord } from './results-file.ts'
import { spreadText } from './spread.ts'

const colours: Readonly<Record<string, string>> = {
  direct: '#9aa0a6',
  pgbouncer: '#4c78a8',
  pgdog: '#b279a2',
  pgcat: '#9d755d',
  odyssey: '#72b7b2',
  pgpool: '#d6a5c9',
  latchkey: '#e4572e',
  plain: '#b8a14b',
  against: '#54a24b',
}

const charts = [
  ['perSecond', 'per second', 'more is better'],
  ['cpuUsPerUnit', 'CPU µs of the pooler for each', 'less is better'],
  ['p99Ms', 'p99 in ms', 'less is better'],
] as const

const width = 340
const barHeight = 18
const labelWidth = 78

const safe = (text: unknown): string =>
  String(text).replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`)

export function htmlPage(run: RunRecord): string {
  const { machine } = run
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`)
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Latchkey, benchmark of ${safe(run.startedAt.slice(0, 10))}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #ddd}h3{margin:1.5rem 0 .3rem}
.charts{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:13px;color:#555}
table{border-collapse:collapse;font-size:13px;margin:.5rem 0}td,th{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #eee}
td:first-child,th:first-child{text-align:left}.fault{color:#b00020}details{font-size:13px;color:#555}svg text{font:12px system-ui,sans-serif}
</style>
<h1>Latchkey beside other ways to Postgres</h1>
<p>${safe(run.startedAt)} to ${safe(run.endedAt)}. ${safe(facts.join(', '))}.</p>
<p>Clients, poolers and Postgres share one machine. Bars are medians of the rounds, the thin line is
their range. Ratios are made round by round and say more than any figure alone.</p>
${run.scenarios.map(section).join('\n')}
</html>
`
}

function section({ name, about, cases, settings, world, faults }: ScenarioRecord): string {
  const details = safe(JSON.stringify({ settings, ...world }, null, 1))
  return `<h2>${safe(name)}</h2><p>${safe(about)}</p>
${faults.map((fault) => `<p class="fault">${safe(fault)}</p>`).join('')}
${cases.map(article).join('\n')}
<details><summary>settings</summary><pre>${details}</pre></details>`
}

function article(of: Case): string {
  const shown = [...charts, ...extraNames(of).map((name) => [name, name, ''] as const)].filter(
    ([figure]) => targetsOf(of).some((target) => spreadIn(of, target, figure) !== null),
  )
  return `<h3>${safe(of.name)}</h3>
<div class="charts">${shown.map(([figure, title, note]) => chart(of, figure, title, note)).join('')}</div>
${ratios(of)}${errorsIn(of) > 0 ? `<p class="fault">${errorsIn(of)} errors</p>` : ''}`
}

function chart(of: Case, figure: string, title: string, note: string): string {
  const rows = targetsOf(of).flatMap((target) => {
    const spread = spreadIn(of, target, figure)
    return spread === null ? [] : [{ target, spread }]
  })
  const most = Math.max(...rows.map(({ spread }) => spread.max), Number.MIN_VALUE)
  const scale = (value: number): number => (value / most) * (width - labelWidth - 70)
  const bars = rows.map(({ target, spread }, index) => {
    const y = index * (barHeight + 6)
    const middle = y + barHeight / 2
    const end = labelWidth + scale(spread.median)
    const digits = spread.median >= 100 ? 0 : spread.median >= 10 ? 1 : 2
    return `<text x="0" y="${middle + 4}">${safe(target)}</text>
<rect x="${labelWidth}" y="${y}" width="${scale(spread.median).toFixed(1)}" height="${barHeight}" fill="${colours[target] ?? '#777'}"/>
<line x1="${(labelWidth + scale(spread.min)).toFixed(1)}" x2="${(labelWidth + scale(spread.max)).toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#222"/>
<text x="${(Math.max(end, labelWidth + scale(spread.max)) + 5).toFixed(1)}" y="${middle + 4}">${spread.median.toFixed(digits)}</text>`
  })
  const height = rows.length * (barHeight + 6)
  const unit = figure === 'perSecond' ? `${of.unit} ${title}` : title
  return `<figure><figcaption>${safe(unit)}${note === '' ? '' : `, ${note}`}</figcaption>
<svg width="${width}" height="${height}" role="img" aria-label="${safe(unit)}">${bars.join('')}</svg></figure>`
}

function ratios(of: Case): string {
  const figures = [...charts.map(([figure, title]) => [figure, title] as const)].concat(
    extraNames(of).map((name) => [name, name] as never),
  )
  const rows = pairsOf(of).map(
    ([ours, theirs]) =>
      `<tr><td>${safe(ours)} / ${safe(theirs)}</td>${figures
        .map(([figure]) => `<td>${spreadText(ratioIn(of, ours, theirs, figure), 2)}</td>`)
        .join('')}</tr>`,
  )
  if (rows.length === 0) return ''
  const heads = figures.map(([, title]) => `<th>${safe(title)}</th>`).join('')
  return `<table><tr><th>ratio (range)</th>${heads}</tr>${rows.join('')}</table>`
}

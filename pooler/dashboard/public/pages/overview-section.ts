// What the project's pools do right now, and what to connect with.
import { useContext } from 'preact/hooks'
import { checkoutQuantile, latencies, rates } from '../figures.ts'
import { bytes, duration, figure, latency } from '../format.ts'
import { html } from '../html.ts'
import { LiveContext } from '../live.ts'
import { FigureTile } from '../parts/chart.ts'
import { Card } from '../parts/small.ts'
import { Loading } from '../parts/states.ts'
import { ProjectContext } from '../project-context.ts'
import { ConnectCard } from './connect-card.ts'

export function OverviewSection() {
  const view = useContext(ProjectContext)
  return html`<div class="stack">
    ${view?.canRead && html`<${FiguresCard} />`}
    <${ConnectCard} />
  </div>`
}

/** Latency is told over the last half minute: a single look may have seen nobody wait. */
const latencySamples = 15

function FiguresCard() {
  const { samples } = useContext(LiveContext)
  const now = samples.at(-1)
  const hint = 'This process, the last five minutes.'
  if (now === undefined)
    return html`<${Card} title="Now" hint=${hint}><${Loading} lines=${2} /><//>`
  const before = samples.at(-latencySamples) ?? samples[0] ?? now
  const transactions = rates(samples, (one) => one.transactions)
  const queries = rates(samples, (one) => one.queries)
  const received = rates(samples, (one) => one.bytesToClients)
  return html`<${Card} title="Now" hint=${hint}>
    <div class="figures">
      <${FigureTile} label="Clients" value=${figure(now.clients)} least=${5}
        values=${samples.map((one) => one.clients)} />
      <${FigureTile} label="Servers at work" value=${`${figure(now.serversBusy)} of ${figure(now.servers)}`}
        note=${now.serversMax > 0 ? `at most ${now.serversMax}` : ''} least=${Math.max(1, now.servers)}
        values=${samples.map((one) => one.serversBusy)} others=${samples.map((one) => one.servers)} />
      <${FigureTile} label="Waiting" value=${figure(now.waiting)} least=${5}
        note=${now.waiting > 0 ? `longest ${duration(now.oldestWaitMs)}` : ''}
        values=${samples.map((one) => one.waiting)} />
      <${FigureTile} label="Transactions" value=${`${figure(transactions.at(-1) ?? 0)}/s`} least=${5}
        note=${`${figure(queries.at(-1) ?? 0)} queries/s`} values=${transactions} />
      <${FigureTile} label="Wait for a server" value=${latency(checkoutQuantile(before, now, 0.5))} least=${0.005}
        note=${`95 %: ${latency(checkoutQuantile(before, now, 0.95))}`} values=${latencies(samples, 0.95)} />
      <${FigureTile} label="To clients" value=${`${bytes(Math.round(received.at(-1) ?? 0))}/s`} least=${1000}
        values=${received} />
    </div>
  <//>`
}

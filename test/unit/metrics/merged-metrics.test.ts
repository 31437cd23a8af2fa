import { expect, test } from 'vitest'
import { mergeMetrics } from '../../../pooler/metrics/merged-metrics.ts'

const text = (
  clients: number,
  waited: number,
  rss: number,
): string => `# HELP pooler_clients Clients.
# TYPE pooler_clients gauge
pooler_clients{tenant="a b",state="idle"} ${clients}
# HELP pooler_oldest_waiter_seconds Longest wait.
# TYPE pooler_oldest_waiter_seconds gauge
pooler_oldest_waiter_seconds{tenant="a b"} ${waited}
# HELP pooler_memory_bytes Memory.
# TYPE pooler_memory_bytes gauge
pooler_memory_bytes{kind="resident"} ${rss}
# HELP pooler_uptime_seconds Time.
# TYPE pooler_uptime_seconds gauge
pooler_uptime_seconds 5
`

test('sums, the worst of all, and what is a worker’s own', () => {
  const merged = mergeMetrics(
    [
      { slot: 0, text: text(2, 1.5, 100) },
      { slot: 2, text: text(3, 0.5, 200) },
    ],
    1,
  )
  const lines = merged.split('\n')
  for (const line of [
    'pooler_clients{tenant="a b",state="idle"} 5',
    'pooler_oldest_waiter_seconds{tenant="a b"} 1.5',
    'pooler_memory_bytes{worker="0",kind="resident"} 100',
    'pooler_memory_bytes{worker="2",kind="resident"} 200',
    'pooler_uptime_seconds{worker="2"} 5',
    'pooler_workers{state="answered"} 2',
    'pooler_workers{state="silent"} 1',
  ]) {
    expect(lines).toContain(line)
  }
  expect(lines.filter((line) => line.startsWith('# HELP pooler_clients'))).toHaveLength(1)
})

test('a family that only one worker has is kept whole', () => {
  const merged = mergeMetrics(
    [
      { slot: 0, text: text(2, 1, 100) },
      { slot: 1, text: '' },
    ],
    0,
  )
  expect(merged).toContain('pooler_clients{tenant="a b",state="idle"} 2\n')
})

const counted = (count: number): string => `# HELP pooler_queries_total Queries.
# TYPE pooler_queries_total counter
pooler_queries_total{tenant="a"} ${count}
# HELP pooler_wait_seconds Waits.
# TYPE pooler_wait_seconds histogram
pooler_wait_seconds_count{tenant="a"} ${count}
# HELP pooler_cpu_seconds_total Time.
# TYPE pooler_cpu_seconds_total counter
pooler_cpu_seconds_total ${count}
`

test('counts are those of all workers, or are left out: a part of them would look like traffic', () => {
  const parts = [
    { slot: 0, text: counted(2) },
    { slot: 1, text: counted(3) },
  ]
  const all = mergeMetrics(parts, 0)
  expect(all).toContain('pooler_queries_total{tenant="a"} 5\n')
  expect(all).toContain('pooler_wait_seconds_count{tenant="a"} 5\n')
  const some = mergeMetrics(parts, 1)
  expect(some).toContain('# TYPE pooler_queries_total counter\n\n')
  expect(some).toContain('# TYPE pooler_wait_seconds histogram\n\n')
  expect(some).toContain('pooler_cpu_seconds_total{worker="1"} 3\n')
})

test('direct clients may have as many servers as there are of them, others as many as their pool', () => {
  const text = (mode: string) => `# HELP pooler_servers_max Most.
# TYPE pooler_servers_max gauge
pooler_servers_max{tenant="a",role="r",mode="${mode}",database="d"} 2
`
  const merged = (mode: string) =>
    mergeMetrics(
      [0, 1].map((slot) => ({ slot, text: text(mode) })),
      0,
    )
  expect(merged('direct')).toContain('mode="direct",database="d"} 4\n')
  expect(merged('session')).toContain('mode="session",database="d"} 2\n')
})

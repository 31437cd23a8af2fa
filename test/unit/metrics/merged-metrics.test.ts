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

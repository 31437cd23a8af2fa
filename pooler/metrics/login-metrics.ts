import { histogramSamples, type Metric } from './metric.ts'
import type { MetricsSnapshot } from './snapshot.ts'

/** What happens to connections before they belong to a pool, and to the process as a whole. */
export function loginMetrics(snapshot: MetricsSnapshot): Metric[] {
  return [
    {
      type: 'histogram',
      name: 'pooler_login_seconds',
      help: 'From accept to the end of a login that succeeded, by method.',
      *samples() {
        for (const [method, histogram] of Object.entries(snapshot.counters.logins)) {
          yield* histogramSamples('pooler_login_seconds', { method }, histogram)
        }
      },
    },
    {
      type: 'histogram',
      name: 'pooler_token_decision_seconds',
      help: 'Decisions on tokens as passwords, by what was decided.',
      *samples() {
        for (const [decision, histogram] of Object.entries(snapshot.tokenDecisions)) {
          yield* histogramSamples('pooler_token_decision_seconds', { decision }, histogram)
        }
      },
    },
    {
      type: 'gauge',
      name: 'pooler_access_sessions',
      help: 'Live sessions of people.',
      samples: () => [{ labels: {}, value: snapshot.liveSessions }],
    },
    {
      type: 'gauge',
      name: 'pooler_connections_before_login',
      help: 'Connections that have not logged in yet.',
      samples: () => [{ labels: {}, value: snapshot.connectionsBeforeLogin }],
    },
    {
      type: 'gauge',
      name: 'pooler_draining',
      help: '1 while this process finishes its work and takes no more.',
      samples: () => [{ labels: {}, value: snapshot.isDraining ? 1 : 0 }],
    },
    {
      type: 'gauge',
      name: 'pooler_sealed_secrets',
      help: 'Stored secrets, by what they are and the key that they are sealed with.',
      *samples() {
        for (const [kind, counts] of Object.entries(snapshot.sealed ?? {})) {
          for (const [key, value] of Object.entries(counts)) yield { labels: { kind, key }, value }
        }
      },
    },
  ]
}

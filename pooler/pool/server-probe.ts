// Asks Postgres itself whether servers of ours that say nothing are at work. One that is idle while we
// wait for it has lost our message or its reply has been lost: it is terminated there and then.
import type { ProbedServer, ProbeResult } from './pool-options.ts'
import { ServerOpenError } from './server-open-error.ts'

// A process id alone does not tell a server: another host behind the same address, or a pooler, has
// its own. The age by the database's own clock does; the login lies between it and ours. Being found
// at work, or not at all, proves nothing either way; nor does the state alone, since a backend that works on
// Describe shows the one from before (exec_describe_statement_message in postgres.c).
export const probeSql = `
SELECT it.pid, pg_terminate_backend(it.pid)
FROM unnest($1::int[], $2::float8[]) AS ours (pid, age)
JOIN pg_stat_activity AS it ON it.pid = ours.pid
WHERE it.usename = session_user AND it.state LIKE 'idle%' AND it.wait_event = 'ClientRead'
AND clock_timestamp() - it.state_change > $3::float8 * interval '1 millisecond'
AND extract(epoch FROM clock_timestamp() - it.backend_start) BETWEEN ours.age - 1 AND ours.age + 20`

export function probeParameters(servers: readonly ProbedServer[], idleMsMin: number): string[] {
  const known = servers.filter(({ processId }) => processId > 0)
  return [
    `{${known.map(({ processId }) => processId).join(',')}}`,
    `{${known.map(({ ageMs }) => ageMs / 1000).join(',')}}`,
    String(idleMsMin),
  ]
}

/** Whoever answers is alive, whatever is answered: no room, a new password, a shutdown that waits. */
export function probeFailure(error: unknown): ProbeResult {
  if (!(error instanceof ServerOpenError)) return { kind: 'unknown' }
  const isSilence = error.kind === 'transient' && error.postgres === null
  return isSilence && !isOurs(error.cause)
    ? { kind: 'unreachable', reason: error.message }
    : { kind: 'unknown' }
}

/** Short of open files: the fault is here. */
const isOurs = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && (cause.code === 'EMFILE' || cause.code === 'ENFILE')

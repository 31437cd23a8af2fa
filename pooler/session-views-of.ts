import type { LiveSession, LiveSessions } from './access/live-sessions.ts'
import type { SessionBoard, SessionView } from './api/api-deps.ts'
import type { ControlPlane } from './control-plane.ts'
import type { OtherWorkersLink } from './other-workers-link.ts'

/** Of this process, the other workers, and whatever other nodes have told. */
export function sessionBoardOf(
  { liveSessions, presence, changes }: ControlPlane,
  others: Pick<OtherWorkersLink, 'sessions'> | null,
): SessionBoard {
  return {
    list: async (ref) => {
      // Other workers know of their own before the store does, which all nodes read.
      const [near, far] = await Promise.all([others?.sessions(ref) ?? [], presence.elsewhere(ref)])
      const all = [...far, ...near, ...sessionViewsOf(ref, liveSessions)]
      return [...new Map(all.map((one) => [one.sessionId, one])).values()]
    },
    end: (ref, sessionId, reason) =>
      changes.announce({ kind: 'session-end', ref, sessionId, reason }),
  }
}

/** People who are in through this process. */
export const sessionViewsOf = (ref: string, sessions: Pick<LiveSessions, 'list'>): SessionView[] =>
  sessions.list(ref).map(sessionViewOf)

function sessionViewOf(session: LiveSession): SessionView {
  const { foundation } = session
  return {
    sessionId: session.sessionId,
    userId: foundation?.member.userId ?? '',
    email: foundation?.member.email ?? null,
    role: session.role,
    address: session.address,
    applicationName: session.applicationName,
    startedAtMs: session.startedAtMs,
    endsAtMs: foundation?.endsAtMs ?? null,
  }
}

import type { FastifyRequest } from 'fastify'
import type { AccessEvent } from '../store/events.ts'
import type { ApiDeps } from './api-deps.ts'

export interface Change {
  readonly action: AccessEvent['action']
  /** user_id of who acted, where that is neither the caller nor the operator. */
  readonly actor?: string
  /** user_id of the member whom it concerns. */
  readonly subject?: string
  readonly role?: string
  /** Where the caller is not the one it is about: the address that they named. */
  readonly address?: string
  readonly sessionId?: string
  readonly reason?: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** An event of something that the caller of a /v1 route, or the operator of an /api route, did. */
export function recordChange(
  deps: Pick<ApiDeps, 'auditTrail' | 'clock'>,
  request: FastifyRequest,
  change: Change,
  ref: string | null = request.project?.tenant.ref ?? null,
): void {
  const { caller } = request
  const isSelf = change.subject !== undefined && change.subject === caller?.member.userId
  deps.auditTrail.record({
    address: request.ip,
    actor: caller?.member.userId ?? 'operator',
    ...change,
    atMs: deps.clock.wallMs(),
    ref,
    ...(caller !== null && { tokenId: caller.token.id, tokenName: caller.token.name }),
    ...(isSelf && { details: { ...change.details, self: true } }),
  })
}

// Who may change whose membership. Pure: the store asks while it holds the project's lock, so that
// what is judged is what is stored.
import type { MembershipRole } from './schema.ts'
import { StoreRefusal } from './store-refusal.ts'

/** Who asks for a change: the operator, or a member with what they are in that project. */
export type Actor = 'operator' | { readonly userId: string; readonly role: MembershipRole }

/** From least to most; raising oneself is measured by it. */
const ranks: readonly MembershipRole[] = [
  'guest',
  'read_only',
  'developer',
  'administrator',
  'owner',
]

export interface MembershipChange {
  readonly userId: string
  readonly before: MembershipRole | null
  readonly after: MembershipRole | null
  readonly actor: Actor
}

/** `current` is what everybody is in the project while nobody else can change it. */
export function refuseUnlessMayChange(
  current: ReadonlyMap<string, MembershipRole>,
  { userId, before, after, actor }: MembershipChange,
): void {
  const owners = [...current.values()].filter((role) => role === 'owner').length
  if (before === 'owner' && after !== 'owner' && owners === 1) {
    throw new StoreRefusal('conflict', 'the last owner of a project stays its owner')
  }
  if (actor === 'operator') return
  // What the actor is now, not what they were when their request was let in.
  const actorRole = current.get(actor.userId) ?? null
  const isSelf = actor.userId === userId
  if (isSelf && rankOf(after) > rankOf(before)) {
    throw new StoreRefusal('forbidden', 'nobody raises their own membership')
  }
  if (isSelf && after === null) return
  if (actorRole !== 'owner' && actorRole !== 'administrator') {
    throw new StoreRefusal('forbidden', 'only owners and administrators change memberships')
  }
  if (actorRole === 'administrator' && (before === 'owner' || after === 'owner')) {
    throw new StoreRefusal('forbidden', 'administrators neither make, change nor remove owners')
  }
}

const rankOf = (role: MembershipRole | null) => (role === null ? -1 : ranks.indexOf(role))

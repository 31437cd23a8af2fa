// Members of something that come and go by the thousand. Not a Set: when V8 renews the table of a Set or
// Map, the old one keeps pointing to the new one, so that once a table has become old, all later ones
// outlive V8's short collections, and every member that was in one of them with everything it refers to.

export interface RosterMember {
  /** Its place in the one roster that it is in; the roster's own. -1: it is in none. */
  seat: number
}

export class Roster<Member extends RosterMember> {
  readonly #members: Member[] = []

  get size(): number {
    return this.#members.length
  }

  /** Only one that is in no roster. */
  add(member: Member): void {
    member.seat = this.#members.length
    this.#members.push(member)
  }

  /** Nothing for one that is not here. */
  delete(member: Member): void {
    const { seat } = member
    if (this.#members[seat] !== member) return
    const last = this.#members.pop() as Member
    if (last !== member) {
      this.#members[seat] = last
      last.seat = seat
    }
    member.seat = -1
  }

  /** One of `parts` about equal ones. Who moves to another seat meanwhile may be in none of a round's. */
  *share(part: number, parts: number): Iterable<Member> {
    for (let seat = part; seat < this.#members.length; seat += parts) {
      const member = this.#members[seat]
      if (member !== undefined) yield member
    }
  }

  /** In no order. Those that leave meanwhile are left out, and so may be those that come. */
  *[Symbol.iterator](): Iterator<Member> {
    // From the end: who takes the place of one that leaves has been there already.
    for (let seat = this.#members.length - 1; seat >= 0; seat--) {
      const member = this.#members[seat]
      if (member !== undefined) yield member
    }
  }
}

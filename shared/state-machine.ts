import { InvariantError } from './assert.ts'

/** For each state the states that may follow it. A state that may follow itself says so. */
export type Moves<State extends string> = { readonly [From in State]: readonly State[] }

/** One field, one table of legal moves, one function that makes them. */
export class StateMachine<State extends string> {
  readonly #noun: string
  readonly #moves: Moves<State>
  #state: State

  /** `noun` names the thing in the claim of a broken invariant: `client`, `server`. */
  constructor(noun: string, moves: Moves<State>, first: State) {
    this.#noun = noun
    this.#moves = moves
    this.#state = first
  }

  get state(): State {
    return this.#state
  }

  is(...states: readonly State[]): boolean {
    return states.includes(this.#state)
  }

  canMoveTo(next: State): boolean {
    return this.#moves[this.#state].includes(next)
  }

  /** Throws InvariantError and stays where it is when the table does not have the move. */
  moveTo(next: State): void {
    if (!this.canMoveTo(next)) {
      throw new InvariantError(`a ${this.#noun} may not go from ${this.#state} to ${next}`)
    }
    this.#state = next
  }
}

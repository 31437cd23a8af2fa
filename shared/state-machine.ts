import { InvariantError } from './assert.ts'

/** For each state the states that may follow it. A state that may follow itself says so. */
export type Moves<State extends string> = { readonly [From in State]: readonly State[] }

/** One field, one table of legal moves, one function that makes them. */
export class StateMachine<State extends string> {
  readonly #noun: string
  #at: Node<State>

  /** `noun` names the thing in the claim of a broken invariant: `client`, `server`. */
  constructor(noun: string, moves: Moves<State>, first: State) {
    this.#noun = noun
    this.#at = nodesOf(moves)[first]
  }

  get state(): State {
    return this.#at.state
  }

  is(...states: readonly State[]): boolean {
    return states.includes(this.state)
  }

  canMoveTo(next: State): boolean {
    return this.#at.next.some(({ state }) => state === next)
  }

  /** Throws InvariantError and stays where it is when the table does not have the move. */
  moveTo(next: State): void {
    for (const node of this.#at.next) {
      if (node.state !== next) continue
      this.#at = node
      return
    }
    throw new InvariantError(`a ${this.#noun} may not go from ${this.state} to ${next}`)
  }
}

/** A state in the graph that a table stands for. Moves are made at each transaction: no look-up by name. */
interface Node<State extends string> {
  readonly state: State
  readonly next: Node<State>[]
}

type Nodes<State extends string> = Readonly<Record<State, Node<State>>>

const graphs = new WeakMap<object, Nodes<string>>()

function nodesOf<State extends string>(moves: Moves<State>): Nodes<State> {
  const known = graphs.get(moves)
  if (known !== undefined) return known as Nodes<State>
  const states = Object.keys(moves) as State[]
  const entries = states.map((state): [State, Node<State>] => [state, { state, next: [] }])
  const nodes = Object.fromEntries(entries) as Record<State, Node<State>>
  for (const state of states) {
    for (const next of moves[state]) nodes[state].next.push(nodes[next])
  }
  graphs.set(moves, nodes)
  return nodes
}

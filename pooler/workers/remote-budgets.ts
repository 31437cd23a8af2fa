// The budgets of one worker that it shares with the others, and the way of permits to them.
import type { Clock } from '../../shared/clock.ts'
import type { PermitOrder, PermitReport } from './permit-messages.ts'
import { RemoteBudget } from './remote-budget.ts'

export class RemoteBudgets {
  readonly #byId = new Map<number, RemoteBudget>()
  readonly #clock: Clock
  readonly #send: (report: PermitReport) => void
  #lastId = 0

  constructor(clock: Clock, send: (report: PermitReport) => void) {
    this.#clock = clock
    this.#send = send
  }

  make(key: string, name: string, limit: () => number): RemoteBudget {
    const id = ++this.#lastId
    const send = (report: PermitReport): void => {
      if (report.isLast) this.#byId.delete(id)
      this.#send(report)
    }
    const budget = new RemoteBudget({ id, key, name, limit, clock: this.#clock, send })
    this.#byId.set(id, budget)
    return budget
  }

  /** What comes for a budget that has ended means nothing any more. */
  onOrder(order: PermitOrder): void {
    this.#byId.get(order.id)?.onOrder(order)
  }
}

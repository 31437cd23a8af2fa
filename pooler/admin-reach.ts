// How far an operator's hand and eye reach: this process, or all workers. Each of them tells its facts
// and carries out what is asked, and the one at whose console it was asked answers when all have.
import type { AdminControl, AdminFacts, AdminView, FactName, PoolAct } from './admin/admin-view.ts'
import { mergeFacts } from './admin/merged-facts.ts'
import { adminRowsToldMax } from './config/limits.ts'
import { refused } from './pool/command-refusal.ts'
import type { HeldBack, PoolHolds } from './pool/pool-holds.ts'
import type { WorkerLink } from './workers/worker-link.ts'

/** One process, as its console reaches it. */
export interface ReachedHere {
  readonly facts: { read(names: readonly FactName[]): AdminFacts }
  readonly act: (act: PoolAct) => boolean
  readonly holds: {
    readonly holds: PoolHolds
    /** Pools pause and resume as `holds` says now. */
    applyHolds(): void
  }
}

export type AdminReach = Pick<AdminView, 'read'> & Pick<AdminControl, 'hold' | 'everywhere'>

export function reachHere({ facts, act, holds }: ReachedHere): AdminReach {
  return {
    read: async (names) => ({
      facts: mergeFacts([{ worker: 0, facts: facts.read(names) }]),
      lack: null,
    }),
    hold: async (change) => {
      holds.holds.change(change)
      holds.applyHolds()
    },
    everywhere: async (asked) => [act(asked)],
  }
}

export function reachOverWorkers(here: ReachedHere, link: WorkerLink): AdminReach {
  const { facts, act, holds } = here
  const { slot, of } = link.place
  link.answer('facts', ({ names }) => ({ worker: slot, ...told(facts.read(names)) }))
  link.answer('act', (asked) => act(asked))
  const onHeld = (held: HeldBack): null => {
    holds.holds.adopt(held)
    holds.applyHolds()
    return null
  }
  onHeld(link.held)
  link.answer('held', onHeld)
  return {
    read: async (names) => {
      const others = await link.ask('facts', { names })
      const parts = [{ worker: slot, facts: facts.read(names) }, ...others.answers]
      const leftOut = others.answers.reduce((sum, { rowsLeftOut }) => sum + rowsLeftOut, 0)
      return {
        facts: mergeFacts(parts.toSorted((one, other) => one.worker - other.worker)),
        lack: lackOf(others.missing + others.faults.length, of, leftOut),
      }
    },
    hold: async (change) => {
      const { faults, missing } = await link.hold(change)
      const [fault] = faults
      if (fault !== undefined) throw refused(fault)
      if (missing > 0)
        throw refused(`${unheard(missing, of)}; it holds there once they can be reached`)
    },
    everywhere: async (asked) => {
      const own = act(asked)
      const { answers, faults, missing } = await link.ask('act', asked)
      const silent = missing + faults.length
      if (silent > 0) throw refused(`${unheard(silent, of)}; it may not have been done there`)
      return [own, ...answers]
    },
  }
}

const unheard = (silent: number, of: number): string =>
  `${silent} of ${of} workers did not answer in time`

/** Of each fact no more than one message should carry. */
function told(facts: AdminFacts): { facts: AdminFacts; rowsLeftOut: number } {
  let rowsLeftOut = 0
  const cut = Object.entries(facts).map(([name, rows]: [string, readonly unknown[]]) => {
    rowsLeftOut += Math.max(0, rows.length - adminRowsToldMax)
    return [name, rows.slice(0, adminRowsToldMax)]
  })
  return { facts: Object.fromEntries(cut) as AdminFacts, rowsLeftOut }
}

function lackOf(silent: number, of: number, rowsLeftOut: number): string | null {
  const lacks = [
    ...(silent > 0 ? [`${unheard(silent, of)}: theirs is missing here`] : []),
    ...(rowsLeftOut > 0 ? [`${rowsLeftOut} rows of other workers are left out`] : []),
  ]
  return lacks.length === 0 ? null : lacks.join('; ')
}

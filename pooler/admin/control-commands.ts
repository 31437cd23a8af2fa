// Commands that change something. Each is carried out before it is answered; those that wait for
// servers to become free wait until that is so, or the operator leaves.
import { type Clock, sleep } from '../../shared/clock.ts'
import { refused } from '../pool/command-refusal.ts'
import { everything, type PoolTarget } from '../pool/pool-target.ts'
import type { AdminCommand } from './admin-answer.ts'
import type { AdminControl, PoolAct } from './admin-view.ts'
import type { Word } from './command-text.ts'

/** How often a command looks whether what it waits for is so. */
const lookMs = 50

interface ControlVerb {
  /** How it is written, and what it does, for SHOW HELP. */
  readonly usage: string
  readonly help: string
  prepare(words: readonly Word[], control: AdminControl, clock: Clock): AdminCommand['run']
}

export const controlVerbs: Readonly<Record<string, ControlVerb>> = {
  pause: {
    usage: 'PAUSE [target]',
    help: 'transactions end, their servers are closed, clients wait; answered when all are closed',
    prepare: (words, control, clock) => {
      const target = optionalTarget(words)
      return async (isGone) => {
        await known(target, control)
        await control.hold({ kind: 'pause', target })
        const isOver = (): boolean => isGone() || !control.isPaused(target)
        await untilEverywhere({ kind: 'is empty', target }, control, clock, isOver)
        if (!control.isPaused(target)) throw refused('it was resumed meanwhile')
        return done('PAUSE')
      }
    },
  },
  resume: {
    usage: 'RESUME [target]',
    help: 'takes back PAUSE or KILL',
    prepare: (words, control) => {
      const target = optionalTarget(words)
      return async () => {
        await control.hold({ kind: 'resume', target })
        return done('RESUME')
      }
    },
  },
  reconnect: {
    usage: 'RECONNECT [target]',
    help: 'closes servers as they become free, so that new ones are opened',
    prepare: (words, control) => {
      const target = optionalTarget(words)
      return async () => {
        await known(target, control)
        await control.everywhere({ kind: 'reconnect', target })
        return done('RECONNECT')
      }
    },
  },
  wait_close: {
    usage: 'WAIT_CLOSE [target]',
    help: 'answered when the servers of now are closed, as after RECONNECT',
    prepare: (words, control, clock) => {
      const target = optionalTarget(words)
      return async (isGone) => {
        await known(target, control)
        const sinceMs = clock.wallMs()
        await untilEverywhere({ kind: 'is replaced', target, sinceMs }, control, clock, isGone)
        return done('WAIT_CLOSE')
      }
    },
  },
  kill: {
    usage: 'KILL target',
    help: 'ends clients and servers at once, and pauses; RESUME lets newcomers go on',
    prepare: (words, control) => {
      const target = targetOf(only(words))
      return async () => {
        await known(target, control)
        await control.hold({ kind: 'pause', target, orIs: true })
        await control.everywhere({ kind: 'kill', target })
        return done('KILL')
      }
    },
  },
  kill_client: {
    usage: 'KILL_CLIENT id',
    help: 'ends one client, by its id in SHOW CLIENTS',
    prepare: (words, control) => {
      const { text } = only(words)
      if (!/^\d{1,15}$/.test(text)) throw refused('an id of SHOW CLIENTS is a number')
      return async () => {
        const found = await control.everywhere({ kind: 'kill client', id: Number(text) })
        if (!found.includes(true)) throw refused(`there is no client ${text}`)
        return done('KILL_CLIENT')
      }
    },
  },
  disable: {
    usage: 'DISABLE ref',
    help: 'refuses new clients of a project; those that are in stay',
    prepare: (words, control) => {
      const target = wholeProject(only(words))
      return async () => {
        await known(target, control)
        await control.hold({ kind: 'disable', ref: target.tenantRef })
        return done('DISABLE')
      }
    },
  },
  enable: {
    usage: 'ENABLE ref',
    help: 'takes back DISABLE',
    prepare: (words, control) => {
      const target = wholeProject(only(words))
      return async () => {
        await control.hold({ kind: 'enable', ref: target.tenantRef })
        return done('ENABLE')
      }
    },
  },
  reload: {
    usage: 'RELOAD',
    help: 'reads the certificates again, as SIGHUP does',
    prepare: (words, control) => {
      none(words)
      return async () => {
        await control.reload().catch((error: Error) => {
          throw refused(error.message)
        })
        return done('RELOAD')
      }
    },
  },
  shutdown: {
    usage: 'SHUTDOWN [WAIT_FOR_CLIENTS | WAIT_FOR_SERVERS]',
    help: 'stops at once, when the last client has left, or when transactions are over',
    prepare: (words, control, clock) => {
      const [word, ...more] = words
      none(more)
      const given = word?.text.toLowerCase() ?? ''
      const way = Object.hasOwn(shutdownWays, given) ? shutdownWays[given] : undefined
      if (way === undefined) throw refused('SHUTDOWN takes WAIT_FOR_CLIENTS or WAIT_FOR_SERVERS')
      return () => {
        // Behind the answer, which is written in this turn.
        clock.after(0, () => control.shutdown(way))
        return done('SHUTDOWN')
      }
    },
  },
}

const shutdownWays: Readonly<Record<string, Parameters<AdminControl['shutdown']>[0]>> = {
  '': 'at once',
  wait_for_clients: 'wait for clients',
  wait_for_servers: 'wait for servers',
}

const done = (tag: string) => ({ rows: [], notice: null, tag })

async function untilEverywhere(
  is: PoolAct,
  control: AdminControl,
  clock: Clock,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver() && (await control.everywhere(is)).includes(false)) await sleep(clock, lookMs)
}

function none(words: readonly Word[]): void {
  const [word] = words
  if (word !== undefined) throw refused(`unexpected ${JSON.stringify(word.text)}`)
}

function only(words: readonly Word[]): Word {
  const [word, ...more] = words
  if (word === undefined) throw refused('it has to be said for whom')
  none(more)
  return word
}

function optionalTarget(words: readonly Word[]): PoolTarget {
  return words.length === 0 ? everything : targetOf(only(words))
}

/** `ref`, `role.ref`, `role.ref/database`: the ref is what stands behind the last dot. */
function targetOf({ text }: Word): PoolTarget {
  const slashAt = text.indexOf('/', text.lastIndexOf('.') + 1)
  const user = slashAt === -1 ? text : text.slice(0, slashAt)
  const database = slashAt === -1 ? null : text.slice(slashAt + 1)
  const dotAt = user.lastIndexOf('.')
  const tenantRef = user.slice(dotAt + 1)
  if (tenantRef === '' || database === '')
    throw refused('a target is ref, role.ref or role.ref/database')
  return { tenantRef, role: dotAt === -1 ? null : user.slice(0, dotAt), database }
}

function wholeProject(word: Word): PoolTarget & { readonly tenantRef: string } {
  const { tenantRef, role, database } = targetOf(word)
  if (tenantRef === null || role !== null || database !== null) throw refused('that takes a ref')
  return { tenantRef, role, database }
}

async function known({ tenantRef }: PoolTarget, control: AdminControl): Promise<void> {
  if (tenantRef !== null && !(await control.isTenant(tenantRef))) {
    throw refused(`there is no project ${JSON.stringify(tenantRef)}`)
  }
}

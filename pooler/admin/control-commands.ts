// Commands that change something. Each is carried out before it is answered; those that wait for
// servers to become free wait until that is so, or the operator leaves.
import { type Clock, sleep } from '../../shared/clock.ts'
import { refused } from '../pool/command-refusal.ts'
import { everything, type PoolTarget } from '../pool/pool-target.ts'
import type { AdminCommand } from './admin-answer.ts'
import type { AdminControl } from './admin-view.ts'
import type { Word } from './command-text.ts'

/** How often a command looks whether what it waits for is so. */
const lookMs = 50

interface ControlVerb {
  /** How it is written, and what it does, for SHOW HELP. */
  readonly usage: string
  readonly help: string
  /** Carried out by every worker, whichever is asked. */
  readonly reachesAll?: true
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
        control.pause(target)
        await until(() => control.isEmpty(target), clock, isGone)
        return done('PAUSE')
      }
    },
  },
  resume: {
    usage: 'RESUME [target]',
    help: 'takes back PAUSE or KILL',
    prepare: (words, control) => {
      const target = optionalTarget(words)
      return () => {
        control.resume(target)
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
        control.reconnect(target)
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
        await until(() => control.isReplaced(target, sinceMs), clock, isGone)
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
        control.pause(target)
        await control.kill(target)
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
      return () => {
        if (!control.killClient(Number(text))) throw refused(`there is no client ${text}`)
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
        control.disable(target.tenantRef)
        return done('DISABLE')
      }
    },
  },
  enable: {
    usage: 'ENABLE ref',
    help: 'takes back DISABLE',
    prepare: (words, control) => {
      const target = wholeProject(only(words))
      return () => {
        control.enable(target.tenantRef)
        return done('ENABLE')
      }
    },
  },
  reload: {
    usage: 'RELOAD',
    help: 'reads the certificates again, as SIGHUP does',
    reachesAll: true,
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
    reachesAll: true,
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

const done = (tag: string) => ({ rows: [], tag })

async function until(is: () => boolean, clock: Clock, isGone: () => boolean): Promise<void> {
  while (!is() && !isGone()) await sleep(clock, lookMs)
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

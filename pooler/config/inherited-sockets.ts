// Listening sockets that this process was started with, by systemd (sd_listen_fds(3)) or by the process
// that it replaces: `LISTEN_FDS` of them from descriptor 3 on, with names in `LISTEN_FDNAMES`.
import { ConfigError, type Environment } from './load-config.ts'

export const socketNames = ['transaction', 'session', 'api'] as const
export type SocketName = (typeof socketNames)[number]
export type InheritedSockets = Readonly<Partial<Record<SocketName, number>>>

const firstDescriptor = 3

/** Empty where there are none, or they were meant for another process. Throws ConfigError. */
export function inheritedSockets(env: Environment, pid: number): InheritedSockets {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = env
  if (!LISTEN_FDS || (LISTEN_PID && Number(LISTEN_PID) !== pid)) return {}
  const count = Number(LISTEN_FDS)
  // systemd calls sockets without a name `unknown`; then the order counts.
  const given = LISTEN_FDNAMES?.split(':').map((name) => name.toLowerCase()) ?? []
  const isNamed = given.length > 0 && given.every((name) => name !== 'unknown')
  const names: readonly string[] = isNamed ? given : socketNames.slice(0, count)
  if (!Number.isInteger(count) || names.length !== count || new Set(names).size !== count) {
    throw refused(`given ${count} sockets named ${names.join(', ')}`)
  }
  const sockets: Partial<Record<SocketName, number>> = {}
  for (const [index, name] of names.entries()) {
    if (!isSocketName(name)) throw refused(`given a socket named ${JSON.stringify(name)}`)
    sockets[name] = firstDescriptor + index
  }
  return sockets
}

/** The environment of a process that gets these descriptors, from 3 on, in this order. */
export function inheritanceFor(env: Environment, names: readonly SocketName[]): Environment {
  return {
    ...env,
    LISTEN_PID: undefined,
    LISTEN_FDS: String(names.length),
    LISTEN_FDNAMES: names.join(':'),
  }
}

/** The environment of a process for which there are none any more. */
export function withoutInheritance(env: Environment): Environment {
  return { ...env, LISTEN_PID: undefined, LISTEN_FDS: undefined, LISTEN_FDNAMES: undefined }
}

const isSocketName = (name: string): name is SocketName =>
  (socketNames as readonly string[]).includes(name)

const refused = (what: string): ConfigError =>
  new ConfigError([`LISTEN_FDNAMES: ${what}; allowed: ${socketNames.join(', ')}, each once`])

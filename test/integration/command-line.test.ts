// The command line as people and scripts use it, against a running pooler, with the real psql.
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { needsProgram, type ProgramResult, runProgram } from '../support/program.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

// Each command is a process of its own.
const cliFile = resolve(import.meta.dirname, '../../pooler/cli.ts')
const apiJwtSecret = randomBytes(24).toString('hex')

let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
let guest: TestPerson
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-cli-'))
  pooler = await RunningPooler.start({ env: { API_JWT_SECRET: apiJwtSecret, POOLER_DOMAIN: '' } })
  project = await pooler.project({ input: { enforceSsl: true } })
  owner = await pooler.person(project, { membership: 'owner' })
  guest = await pooler.person(project, { membership: 'guest', rules: [] })
})
afterAll(async () => {
  await pooler?.stop()
  await rm(folder, { recursive: true, force: true })
})

type Env = Readonly<Record<string, string>>

const run = (args: readonly string[], env: Env = {}, by = owner.token): Promise<ProgramResult> =>
  runProgram(process.execPath, [cliFile, ...args], {
    env: { LATCHKEY_API: pooler.apiUrl, LATCHKEY_TOKEN: by, HOME: folder, ...env },
  })

/** What it prints as JSON; it has to succeed. */
async function json(...args: readonly string[]): Promise<Record<string, never>> {
  const { exitCode, stdout, stderr } = await run(args)
  expect([exitCode, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

describe('what it does', () => {
  test('a person sees who they are and what would happen, as tables and as JSON', async () => {
    const { stdout, exitCode } = await run(['whoami', '--table'])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(`user_id  ${owner.userId}`)
    expect(stdout).toMatch(new RegExp(`${project.ref} .*${project.people.role} +yes`))
    expect(await json('whoami')).toMatchObject({
      gotrue_id: owner.userId,
      access: [{ role: project.people.role, is_active: true }],
    })
    expect(await json('projects')).toMatchObject([{ ref: project.ref, role: 'owner' }])
    const allowed = await run(['check', project.ref, '--table'])
    expect([allowed.exitCode, allowed.stdout]).toEqual([0, expect.stringContaining('PASSED')])
    const refused = await run(['check', project.ref, '--role', 'not_mine'])
    expect(refused.exitCode).toBe(4)
  })

  test('an owner gives, lists and takes away rules without losing another’s', async () => {
    const { role } = project.people
    const { email } = guest
    const add = ['rules', 'add', project.ref, email, role]
    const given = await json(
      ...add,
      '--until',
      '8h',
      '--network',
      '203.0.113.7',
      '--network',
      '2001:db8::/32',
      '--reason',
      'ticket 7',
    )
    expect(given).toMatchObject({
      user_id: guest.userId,
      user_roles: [
        {
          role,
          reason: 'ticket 7',
          allowed_networks: {
            allowed_cidrs: [{ cidr: '203.0.113.7/32' }],
            allowed_cidrs_v6: [{ cidr: '2001:db8::/32' }],
          },
        },
      ],
    })
    const other = project.app.role
    await json('rules', 'add', project.ref, email, other, '--branches-only')
    const { stdout } = await run(['rules', 'list', project.ref, '--table'])
    expect(stdout).toMatch(
      new RegExp(`${email} +${role} .*203.0.113.7/32 2001:db8::/32 .*ticket 7`),
    )
    expect(stdout).toMatch(new RegExp(`${email} +${other} +without end +any +only`))
    const own = await run(['rules', 'list', project.ref], {}, guest.token)
    expect([own.exitCode, own.stderr]).toEqual([0, 'you may see your own rules only\n'])
    expect(JSON.parse(own.stdout).user_roles).toHaveLength(2)
    expect(await json('rules', 'remove', project.ref, guest.userId, other)).toMatchObject({
      user_roles: [{ role }],
    })
    await json('rules', 'remove', project.ref, email, '--all')
    const again = await run(['rules', 'remove', project.ref, email, role])
    expect([again.exitCode, again.stderr]).toEqual([
      5,
      `latchkey: ${email} has no rule for ${role}\n`,
    ])
  })

  test('access is switched, and a reason against it is told', async () => {
    expect(await json('access', 'status', project.ref)).toEqual({ state: 'enabled' })
    expect(await json('access', 'disable', project.ref)).toMatchObject({ state: 'disabled' })
    expect(await json('access', 'enable', project.ref)).toMatchObject({ state: 'enabled' })
    const plain = await pooler.project({ input: { enforceSsl: false, useJit: false } })
    await pooler.pooler.control.members.putMembership(plain.ref, owner.userId, 'owner', 'operator')
    const refused = await run(['access', 'enable', plain.ref])
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toMatch(/^latchkey: .*(ssl|TLS)/i)
  })

  test('a token is made, shown once on its own line, and revoked', async () => {
    const made = await run([
      'tokens',
      'create',
      'ci',
      '--until',
      '30d',
      '--permission',
      'database_jit_read',
      '--role',
      project.people.role,
      '--table',
    ])
    expect(made.stdout).toMatch(/^sbp_\w{42,44}\n$/)
    expect(made.stderr).toMatch(/^token ci \(\S+\), shown this once:\n$/)
    const listed = await run(['tokens', 'list', '--table'])
    expect(listed.stdout).toMatch(/ci .*sbp_/)
    expect(listed.stdout).not.toContain(made.stdout.trim())
    const [, id = ''] = /\((\S+)\)/.exec(made.stderr) ?? []
    await json('tokens', 'revoke', id)
    const after = await run(['whoami'], {}, made.stdout.trim())
    expect([after.exitCode, after.stderr]).toEqual([3, expect.stringContaining('revoked')])
  })

  test('an operator makes a person and their first token', async () => {
    const operator = { API_JWT_SECRET: apiJwtSecret, LATCHKEY_TOKEN: '' }
    const made = await run(
      ['admin', 'members', 'add', '--name', 'Eve', '--email', 'eve@example.com'],
      operator,
    )
    const { user_id: userId } = JSON.parse(made.stdout)
    const first = await run(['admin', 'tokens', 'create', userId, 'laptop'], operator)
    const who = await run(['whoami'], {}, JSON.parse(first.stdout).token)
    expect(JSON.parse(who.stdout)).toMatchObject({ gotrue_id: userId, username: 'Eve' })
    expect((await run(['admin', 'members', 'remove', userId], operator)).exitCode).toBe(0)
    expect((await run(['admin', 'members', 'show', userId], operator)).exitCode).toBe(5)
    const wrong = { API_JWT_SECRET: 'x'.repeat(40), LATCHKEY_TOKEN: '' }
    const refused = await run(['admin', 'members', 'show', userId], wrong)
    expect([refused.exitCode, refused.stderr]).toEqual([4, expect.stringContaining('operator')])
  })
})

describe('connect', () => {
  const direct = (...sql: string[]) => [
    '--',
    '--no-psqlrc',
    '-AtX',
    ...sql.flatMap((one) => ['-c', one]),
  ]

  test('runs psql as the role of the rule, through each port, and ends with its exit code', async (context) => {
    needsProgram(context, 'psql')
    for (const mode of ['transaction', 'session']) {
      const args = ['connect', project.ref, '--mode', mode, ...direct('select current_user')]
      const { stdout, exitCode } = await run(args)
      expect([exitCode, stdout]).toEqual([0, `${project.people.role}\n`])
    }
    const checked = ['--ssl-root-cert', pooler.caFile]
    const name = await run(['connect', project.ref, ...checked, ...direct('show application_name')])
    expect(name.stdout).toBe(`${owner.email} via latchkey psql\n`)
    const failed = await run([
      'connect',
      project.ref,
      ...direct('select 1/0'),
      '-v',
      'ON_ERROR_STOP=1',
    ])
    expect([failed.exitCode, failed.stderr]).toEqual([
      1,
      expect.stringContaining('division by zero'),
    ])
  })

  test('a session that runs is listed, recorded with its backend, and ended', async (context) => {
    needsProgram(context, 'psql')
    const sleeping = run([
      'connect',
      project.ref,
      ...direct('select pg_backend_pid()', 'select pg_sleep(600)'),
    ])
    const id = await eventually(
      async () => {
        const { items } = await json('sessions', 'list', project.ref)
        return String((items as unknown as { id: string }[])[0]!.id)
      },
      { pollMs: 300 },
    )
    await json('sessions', 'end', project.ref, id)
    const { exitCode, stdout, stderr } = await sleeping
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('EACCESSENDED')])
    const pid = stdout.trim()
    await eventually(
      async () => {
        const { items } = await json('holds', project.ref, '--pid', pid)
        expect(items).toContainEqual(
          expect.objectContaining({ session_id: id, server_process_id: Number(pid) }),
        )
        const { stdout: text } = await run(['events', project.ref, '--session', id, '--table'])
        expect(text).toMatch(/ended .*closed by yourself/)
        expect(text).toMatch(/login/)
      },
      { pollMs: 500 },
    )
    const csv = await run(['events', project.ref, '--since', '1h', '--export', 'csv'])
    expect(csv.stdout).toMatch(/^id,time,project,/)
    expect(csv.stdout).toContain(id)
    await eventually(async () => {
      const sql = 'select 1 from pg_stat_activity where pid = $1 and query like $2'
      expect(await sharedPostgres().query(sql, [pid, '%pg_sleep(600)%'])).toEqual([])
    })
  })

  test('the token goes by the environment, never by the arguments', async () => {
    await writeFile(join(folder, 'psql'), '#!/bin/sh\necho "$@"\nenv\n', { mode: 0o755 })
    await chmod(join(folder, 'psql'), 0o755)
    const { stdout } = await run(['connect', project.ref, '--', '-l'], {
      PATH: `${folder}:${process.env.PATH}`,
      API_JWT_SECRET: apiJwtSecret,
    })
    const [args, ...env] = stdout.split('\n')
    expect(args).toMatch(/^postgres:\/\/\S+\?sslmode=require&options=-c%20jit%3Don -l$/)
    expect(args).not.toContain(owner.token)
    expect(env).toContain(`PGPASSWORD=${owner.token}`)
    expect(env.filter((line) => line.includes(owner.token))).toHaveLength(1)
    expect(env.join('\n')).not.toContain(apiJwtSecret)
  })

  test('says what is in the way', async () => {
    const none = await run(['connect', project.ref], {}, guest.token)
    expect([none.exitCode, none.stderr]).toEqual([4, expect.stringContaining('you have no rule')])
    const wrong = await run(['connect', project.ref, '--role', 'not_mine'])
    expect(wrong.stderr).toMatch(`you have ${project.people.role}`)
    expect((await run(['connect', project.ref, '--mode', 'direct'])).stderr).toMatch(
      'no direct hosts',
    )
  })
})

describe('secrets and mistakes', () => {
  test('a token comes from a file of one’s own, and from none that others may read', async () => {
    const file = join(folder, 'token')
    await writeFile(file, `${owner.token}\n`, { mode: 0o600 })
    const env = { LATCHKEY_TOKEN: '' }
    expect((await run(['whoami', '--token-file', file], env)).exitCode).toBe(0)
    expect((await run(['whoami'], { ...env, LATCHKEY_TOKEN_FILE: file })).exitCode).toBe(0)
    await chmod(file, 0o640)
    const open = await run(['whoami', '--token-file', file], env)
    expect([open.exitCode, open.stderr]).toEqual([2, expect.stringContaining(`chmod 600 ${file}`)])
    expect((await run(['whoami'], env)).exitCode).toBe(3)
  })

  test('a token as an argument is refused, and not repeated', async () => {
    const { exitCode, stderr } = await run(['tokens', 'revoke', owner.token])
    expect(exitCode).toBe(2)
    expect(stderr).toMatch('never an argument')
    expect(stderr).not.toContain(owner.token)
  })

  test.each([
    [['rules', 'add', 'shop'], 2, '<person> is missing'],
    [['rules', 'add', 'shop', 'me', 'r', '--until', 'soon'], 2, 'is no time'],
    [['whoami', '--nonsense'], 2, "Unknown option '--nonsense'"],
    [['whoami', 'extra'], 2, 'one too many'],
    [['nonsense'], 2, 'there is no command'],
    [['access', 'status', 'nowhere'], 5, 'nowhere'],
    [['whoami', '--api', 'http://pooler.example.com'], 2, 'in clear'],
  ])('%j ends with %i: %s', async (args, code, text) => {
    const { exitCode, stderr } = await run(args)
    expect([exitCode, stderr]).toEqual([code, expect.stringContaining(text)])
  })

  test('--help tells of every command', async () => {
    const { exitCode, stdout } = await run(['--help'], { LATCHKEY_TOKEN: '' })
    expect(exitCode).toBe(0)
    for (const words of ['connect', 'rules add', 'admin tokens create', 'exit codes']) {
      expect(stdout).toContain(words)
    }
    const one = await run(['rules', 'add', '--help'], { LATCHKEY_TOKEN: '' })
    expect(one.stdout).toMatch('--branches-only')
  })

  test('others’ texts reach no terminal with their control characters', async () => {
    const evil = await pooler.person(project)
    await pooler.pooler.control.members.put(evil.userId, { email: null, name: '\u001b[2Jgone' })
    const { stdout } = await run(['whoami', '--table'], {}, evil.token)
    expect(stdout).toContain('?[2Jgone')
    expect(stdout).not.toContain('\u001b')
  })
})

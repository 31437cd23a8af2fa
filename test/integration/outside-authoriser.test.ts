// Projects whose people are let in by an outside authoriser, and databases that check tokens
// themselves. The authoriser is scripted; everything else is real.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestAuthority } from '../support/certificates.ts'
import { expectEnded } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { type Door, doors, PersonSession } from '../support/person-session.ts'
import { literal, sharedPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'
import { LoginRefused } from '../support/raw-login.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestProject } from '../support/running-projects.ts'
import {
  answers,
  grants,
  isSilent,
  ScriptedAuthoriser,
  userId,
} from '../support/scripted-authoriser.ts'
import { SteeredClock } from '../support/steered-clock.ts'

let authoriser: ScriptedAuthoriser
let pooler: RunningPooler
const clients: RawClient[] = []
const clock = new SteeredClock()

beforeAll(async () => {
  authoriser = await ScriptedAuthoriser.start()
  pooler = await RunningPooler.start({ env: { JIT_RECHECK_MS: '1000' }, clock })
})
afterAll(async () => {
  await pooler?.stop()
  await authoriser?.stop()
})
beforeEach(() => {
  authoriser.script = grants()
  authoriser.requests.length = 0
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await pooler.settled()
  clock.reset()
})

/** Of nobody here: only the authoriser knows them. */
const tokenOf = (letter: string) => `sbp_${letter.repeat(40)}`

async function enter(project: TestProject, token = tokenOf('a'), door: Door = 'transaction') {
  const session = await PersonSession.enter(pooler, project, token, door)
  clients.push(session.client)
  return session
}

async function refused(project: TestProject, token = tokenOf('a')) {
  const error = await enter(project, token).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(LoginRefused)
  return (error as LoginRefused).fields
}

const askingElsewhere = (input: object = {}) =>
  pooler.project({ input: { jitApiUrl: authoriser.url(), ...input } })

describe('an outside authoriser', () => {
  test.each(doors)('lets people in at the door %s whom nobody here knows', async (door) => {
    const project = await askingElsewhere()
    await (await enter(project, tokenOf('a'), door)).answers()
    // It is asked again every second that somebody is in.
    expect(authoriser.requests).not.toEqual([])
    for (const request of authoriser.requests) {
      expect(request).toMatchObject({
        authorization: `Bearer ${tokenOf('a')}`,
        body: { role: project.people.role, rhost: '127.0.0.1' },
      })
    }
    const [live] = pooler.pooler.control.liveSessions.list(project.ref)
    expect(live?.foundation?.member.userId).toBe(userId)
  })

  test.each([401, 403, 406])('refuses with %i in the words of a wrong password', async (status) => {
    const project = await askingElsewhere()
    authoriser.script = answers(status)
    expect(await refused(project)).toMatchObject({ S: 'FATAL', C: '28P01' })
  })

  test.each([
    ['fails', answers(500)],
    ['leads elsewhere', answers(302, '', { location: 'https://example.com/' })],
    ['says something odd', answers(200, '{}')],
    ['says nothing for three seconds', isSilent],
  ])('that %s is nobody’s fault, and counts against nobody', async (_what, script) => {
    const project = await askingElsewhere()
    authoriser.script = script
    for (let each = 0; each < (script === isSilent ? 1 : 12); each++) {
      const fields = await refused(project)
      expect(fields).toMatchObject({ S: 'FATAL', C: '58000' })
      expect(fields.M).toMatch(/^\(EAUTHPROVIDER\)/)
    }
    authoriser.script = grants()
    await (await enter(project)).answers()
  })

  test('ends a session by its refusal a moment later, and leaves the others', async () => {
    const project = await askingElsewhere()
    const [first, second] = [await enter(project), await enter(project, tokenOf('b'))]
    authoriser.script = (request, response) => {
      const isFirst = request.authorization.endsWith(tokenOf('a'))
      const script = isFirst ? answers(403) : grants()
      script(request, response)
    }
    expectEnded(await first.fatal(), /withdrawn by the authoriser/)
    await second.answers()
  })

  test('binds the session to the end that it names', async () => {
    const project = await askingElsewhere()
    const endsAt = Math.floor(clock.wallMs() / 1000) + 3600
    authoriser.script = grants({ expires_at: endsAt })
    const session = await enter(project)
    await session.answers()
    clock.moveTo(endsAt * 1000)
    expectEnded(await session.fatal(), /rule expired/)
  })

  test('leaves its word in the record, and the token in no log', async () => {
    const project = await askingElsewhere()
    const token = tokenOf('c')
    const session = await enter(project, token)
    await session.client.terminate()
    const { events } = pooler.pooler.control
    const found = await eventually(async () => {
      const page = await events.query({ ref: project.ref })
      return page.events.length >= 2 && page.events
    })
    expect(found.find((event) => event.action === 'login')).toMatchObject({
      actor: userId,
      tokenName: 'outside authoriser',
      tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    authoriser.script = answers(500, token)
    await refused(project, token).catch(() => {})
    expect(pooler.captured.text).not.toContain(token)
  })

  test.each([
    ['plain, off this machine', 'http://auth.example.com/jit'],
    ['the machine’s own metadata', 'https://169.254.169.254/latest'],
    ['a name for them', 'https://[::ffff:169.254.169.254]/'],
  ])('is never asked at %s, whoever stored it', async (_what, jitApiUrl) => {
    const project = await pooler.project({ input: { jitApiUrl } })
    expect(await refused(project)).toMatchObject({ C: '58000' })
  })

  test('is never this process itself', async () => {
    for (const port of [new URL(pooler.apiUrl).port, pooler.portOf(), pooler.portOf('session')]) {
      const jitApiUrl = `http://127.0.0.1:${port}/v1/projects/x/database/jit`
      const project = await pooler.project({ input: { jitApiUrl } })
      expect(await refused(project)).toMatchObject({ C: '58000' })
    }
  })
})

describe('a database that checks tokens itself', () => {
  /** The role's password is the token: what a module behind pg_hba would accept. */
  async function projectFor(token: string, input: object = {}) {
    const project = await askingElsewhere({ jitUpstream: 'token', ...input })
    await givePassword(project, token)
    return project
  }

  const givePassword = ({ people }: TestProject, token: string) =>
    sharedPostgres().query(`ALTER ROLE "${people.role}" PASSWORD ${literal(token)}`)

  const backendsOf = async ({ people }: TestProject) => {
    const sql = 'SELECT pid FROM pg_stat_activity WHERE usename = $1'
    return (await sharedPostgres().query(sql, [people.role])).map((row) => Number(row.pid))
  }

  test.each(doors)('is shown the token at the door %s, and not what is stored', async (door) => {
    const token = tokenOf('d')
    const project = await projectFor(token)
    await (await enter(project, token, door)).answers()
  })

  test('decides for itself: a token that it does not know opens no server', async () => {
    const project = await projectFor(tokenOf('d'))
    const fields = await refused(project, tokenOf('e'))
    expect(fields).toMatchObject({ S: 'FATAL', C: '08004' })
    expect(fields.M).toMatch(/^\(EUPSTREAMAUTH\)/)
    expect(fields.H).toMatch(/the database itself checks them/)
    await (await enter(project, tokenOf('d'))).answers()
  })

  test('has servers of each token’s own, shared by the sessions of that token', async () => {
    const token = tokenOf('f')
    const project = await projectFor(token, { defaultPoolSize: 1 })
    const [one, two] = [await enter(project, token), await enter(project, token)]
    expect(await two.answers()).toBe(await one.answers())
    await givePassword(project, tokenOf('g'))
    const other = await enter(project, tokenOf('g'))
    expect(await other.answers()).not.toBe(await one.answers())
    await givePassword(project, project.people.password)
    const app = await pooler.raw()
    clients.push(app)
    const { people, ref, database } = project
    await app.login({ user: `${people.role}.${ref}`, password: people.password, database })
    await app.query('SELECT 1')
    await app.untilReady()
    expect((await backendsOf(project)).length).toBe(3)
  })

  test('loses its servers with the last session of the token, however that ended', async () => {
    const token = tokenOf('h')
    const project = await projectFor(token)
    const gone = () => eventually(async () => (await backendsOf(project)).length === 0)
    const session = await enter(project, token)
    await session.client.terminate()
    await gone()
    const ended = await enter(project, token)
    await ended.work('SELECT pg_sleep(60)')
    authoriser.script = answers(403)
    expectEnded(await ended.fatal(), /withdrawn by the authoriser/)
    await gone()
  })

  describe('by a clear password, as pg_hba has it for such modules', () => {
    let postgres: TestPostgres
    beforeAll(async () => {
      const { cert, key } = new TestAuthority().issue(['localhost'])
      const hba = [
        'hostssl all people all password',
        'host all people all reject',
        'host all all all scram-sha-256',
      ]
      postgres = await startPostgres({ tls: { cert, key }, hba })
      await postgres.createRole('people', tokenOf('i'))
    })
    afterAll(() => postgres?.stop())

    const projectThere = () =>
      pooler.project({
        input: {
          jitApiUrl: authoriser.url(),
          jitUpstream: 'token',
          dbHost: postgres.host,
          dbPort: postgres.port,
          dbDatabase: 'postgres',
          upstreamTls: 'require',
          requireUser: false,
          authQuery: 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1',
          users: [],
        },
      })

    async function logIn(project: TestProject, password: string) {
      const client = await pooler.raw({ tls: 'request' })
      clients.push(client)
      const user = `people.${project.ref}`
      await client.login({
        user,
        password,
        database: 'postgres',
        settings: { options: '-c jit=on' },
      })
      await client.query('SELECT 1')
      await client.untilReady()
    }

    test('over TLS', async () => {
      const project = await projectThere()
      await logIn(project, tokenOf('i'))
      await expect(logIn(project, tokenOf('j'))).rejects.toThrow('EUPSTREAMAUTH')
    })
  })
})

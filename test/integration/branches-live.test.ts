// Branches as people and applications meet them at the ports: made over the API while the pooler runs.
import { describe, expect, test } from 'vitest'
import { EndingsSetup, expectEnded } from '../support/endings-setup.ts'
import { eventually } from '../support/eventually.ts'
import { doors, PersonSession } from '../support/person-session.ts'
import type { TestProject } from '../support/running-projects.ts'

const setup = new EndingsSetup()

interface MadeBranch {
  readonly id: string
  readonly project: TestProject
}

async function makeBranch(name: string): Promise<MadeBranch> {
  const path = `/v1/projects/${setup.project.ref}/branches`
  const { body } = await setup.ask('POST', path, { branch_name: name })
  const { id, project_ref } = body as { id: string; project_ref: string }
  return { id, project: { ...setup.project, ref: project_ref } }
}

const enter = (project: TestProject, door: (typeof doors)[number] = 'transaction') =>
  PersonSession.enter(setup.pooler, project, setup.person.token, door)

const isRefused = async (project: TestProject) => {
  await expect(enter(project)).rejects.toMatchObject({ name: 'LoginRefused' })
}

describe('a branch', () => {
  test.each(doors)(
    'is open to those who have a rule for its parent, by the %s door',
    async (door) => {
      const { project } = await makeBranch('preview')
      const session = await enter(project, door)
      session.client.close()
    },
  )

  test('takes the parent’s passwords of applications', async () => {
    const { project } = await makeBranch('preview')
    const { people, database } = setup.project
    const client = await setup.connect()
    const user = `${people.role}.${project.ref}`
    await client.login({ user, password: people.password, database })
  })

  test('is open by a rule for branches only, which does not open the parent', async () => {
    await setup.putRoles({ role: setup.project.people.role, branches_only: true })
    const { project } = await makeBranch('preview')
    const session = await enter(project)
    await isRefused(setup.project)
    session.client.close()
  })

  test('that goes ends who is in it, and nobody in its parent or its sister', async () => {
    const [going, staying] = [await makeBranch('going'), await makeBranch('staying')]
    const inParent = await setup.enter()
    const inSister = await enter(staying.project)
    const inside = await enter(going.project)
    const app = await setup.connect()
    const { people, database } = setup.project
    const user = `${people.role}.${going.project.ref}`
    await app.login({ user, password: people.password, database })
    await setup.ask('DELETE', `/v1/projects/${setup.project.ref}/branches/${going.id}`)
    expectEnded(await inside.fatal(), /project deleted/)
    expect((await app.readAll()).length).toBeGreaterThan(0)
    await inParent.answers()
    await inSister.answers()
    await isRefused(going.project)
    inSister.client.close()
  })

  test('closes with its parent: the rule, the state, the member', async () => {
    const { project } = await makeBranch('preview')
    const byRule = await enter(project)
    await setup.removeRule()
    expectEnded(await byRule.fatal(), /rule removed/)
    await setup.putRoles({ role: setup.project.people.role })
    // Logins hear of what is allowed again over the feed of changes.
    const byState = await eventually(() => enter(project))
    const state = `/v1/projects/${setup.project.ref}/jit-access`
    await setup.ask('PUT', state, { state: 'disabled' })
    expectEnded(await byState.fatal(), /disabled/)
    await setup.ask('PUT', state, { state: 'enabled' })
    const byMembership = await eventually(() => enter(project))
    const members = `/v1/projects/${setup.project.ref}/members`
    await setup.ask('DELETE', `${members}/${setup.person.userId}`)
    expectEnded(await byMembership.fatal(), /member removed/)
  })

  test('has its sessions and events to itself', async () => {
    const { project } = await makeBranch('preview')
    const session = await enter(project)
    const of = async (ref: string, what: string) => {
      const { body } = await setup.ask('GET', `/v1/projects/${ref}/database/jit/${what}`)
      return (body as { items: unknown[] }).items.length
    }
    expect(await of(project.ref, 'sessions')).toBe(1)
    expect(await of(setup.project.ref, 'sessions')).toBe(0)
    session.client.close()
  })
})

test('a project cannot lead back into the pooler, whatever the row says', async () => {
  const { project, pooler } = setup
  await pooler.change(project, { dbPort: pooler.portOf('transaction') })
  const { people, database, ref } = project
  const client = await setup.connect()
  const login = client.login({ user: `${people.role}.${ref}`, password: people.password, database })
  await expect(login).rejects.toMatchObject({ name: 'LoginRefused' })
  const path = `/v1/projects/${ref}/branches`
  await pooler.pooler.control.members.put(setup.owner.userId, {
    email: setup.owner.email,
    name: 'Op',
    isOperator: true,
  })
  const users = [{ db_user: 'x', db_password: 'x' }]
  const circle = { name: 'x', db_host: 'localhost', db_port: pooler.portOf('session'), users }
  const answer = await pooler.api('POST', path, setup.owner.token, circle)
  expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('this pooler')])
})

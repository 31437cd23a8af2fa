// Whether temporary access can be had is asked from the project's own database: a Postgres 15, an 18,
// and one that cannot be reached.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hasPostgres15, OldPostgres } from '../support/old-postgres.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())

async function ownedProject(
  input: object,
): Promise<{ project: TestProject; owner: TestPerson; path: string }> {
  const project = await pooler.project({ input: { useJit: false, enforceSsl: true, ...input } })
  const owner = await pooler.person(project, { membership: 'owner' })
  return { project, owner, path: `/v1/projects/${project.ref}/jit-access` }
}

async function expectUnavailable(input: object, reason: string): Promise<void> {
  const { project, owner, path } = await ownedProject(input)
  const body = { state: 'unavailable', unavailableReason: reason }
  const seen = await pooler.api('GET', path, owner.token)
  expect([seen.status, seen.body]).toEqual([200, body])
  const put = await pooler.api('PUT', path, owner.token, { state: 'enabled' })
  expect([put.status, put.body]).toEqual([409, { message: expect.any(String), ...body }])
  const { tenants } = pooler.pooler.control
  expect((await tenants.findByRef(project.ref))?.useJit).toBe(false)
  expect((await pooler.api('GET', path, owner.token)).body).toEqual(body)
}

test('a Postgres 15 has to be upgraded', async (context) => {
  context.skip(!hasPostgres15, 'Postgres 15 is not installed (Debian: postgresql-15)')
  const old = await OldPostgres.start()
  try {
    const project = await pooler.project()
    await old.createRole(project.people.role, project.people.password)
    await old.createRole(project.app.role, project.app.password)
    await old.createDatabase(project.database)
    await pooler.change(project, { dbPort: old.port, useJit: false, enforceSsl: true })
    const owner = await pooler.person(project, { membership: 'owner' })
    const path = `/v1/projects/${project.ref}/jit-access`
    const body = { state: 'unavailable', unavailableReason: 'postgres_upgrade_required' }
    expect((await pooler.api('GET', path, owner.token)).body).toEqual(body)
    const put = await pooler.api('PUT', path, owner.token, { state: 'enabled' })
    expect([put.status, put.body]).toEqual([409, { message: expect.any(String), ...body }])
    expect((await pooler.pooler.control.tenants.findByRef(project.ref))?.useJit).toBe(false)
    // Upgraded, that is: moved to a newer one.
    await pooler.change(project, { dbPort: sharedPostgres().port })
    const enabled = await pooler.api('PUT', path, owner.token, { state: 'enabled' })
    expect(enabled.body).toEqual({ state: 'enabled', appliedSuccessfully: true })
  } finally {
    await old.stop()
  }
})

test('a database that nobody answers for is unavailable for the moment', async () => {
  await expectUnavailable({ dbPort: 1 }, 'temporarily_unavailable')
})

test('an 18 that enforces no TLS says so, and is available once it does', async () => {
  await expectUnavailable({ enforceSsl: false }, 'ssl_enforcement_required')
  const { owner, path } = await ownedProject({})
  expect((await pooler.api('GET', path, owner.token)).body).toEqual({ state: 'disabled' })
  const enabled = await pooler.api('PUT', path, owner.token, { state: 'enabled' })
  expect(enabled.body).toEqual({ state: 'enabled', appliedSuccessfully: true })
})

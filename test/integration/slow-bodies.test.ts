// A body may take its time: what is allowed is what is allowed when it has come.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'
import { SlowBody } from '../support/slow-request.ts'

let pooler: RunningPooler
let project: TestProject
let owner: TestPerson

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(async () => {
  await pooler?.stop()
})
beforeEach(async () => {
  project = await pooler.project({ input: { enforceSsl: true, useJit: true } })
  owner = await pooler.person(project, { membership: 'owner' })
})

const begin = (method: string, path: string, bearer: string, body: object): Promise<SlowBody> =>
  SlowBody.begin(pooler.apiUrl, { method, path, bearer, body })

test('a token that was revoked meanwhile makes no other token', async () => {
  const slow = await begin('POST', '/v1/access-tokens', owner.token, { name: 'for later' })
  const path = `/v1/access-tokens/${owner.tokenId}`
  expect((await pooler.api('DELETE', path, owner.token)).status).toBe(200)
  await eventually(async () => (await pooler.api('GET', '/v1/profile', owner.token)).status === 401)
  expect((await slow.finish()).status).toBe(401)
  expect(await pooler.pooler.control.tokens.list(owner.userId)).toEqual([])
})

test('an administrator who was demoted meanwhile gives themselves no rule', async () => {
  const admin = await pooler.person(project, { membership: 'administrator', rules: [] })
  const slow = await begin('PUT', `/v1/projects/${project.ref}/database/jit`, admin.token, {
    user_id: admin.userId,
    roles: [{ role: project.people.role }],
  })
  const demote = `/v1/projects/${project.ref}/members/${admin.userId}`
  expect((await pooler.api('PUT', demote, owner.token, { role: 'read_only' })).status).toBe(200)
  expect(await slow.finish()).toEqual({
    status: 403,
    text: JSON.stringify({
      message: 'this needs the permission database_jit_write',
      missing_permissions: ['database_jit_write'],
    }),
  })
  expect(await pooler.pooler.control.rules.find(project.ref, admin.userId)).toBeNull()
})

test('an administrator who was removed meanwhile invites nobody', async () => {
  const admin = await pooler.person(project, { membership: 'administrator', rules: [] })
  const slow = await begin('POST', `/v1/projects/${project.ref}/database/jit/invite`, admin.token, {
    email: 'me-again@example.com',
    roles: [{ role: project.people.role }],
  })
  const leave = `/v1/projects/${project.ref}/members/${admin.userId}`
  expect((await pooler.api('DELETE', leave, owner.token)).status).toBe(200)
  expect(await slow.finish()).toEqual({
    status: 404,
    text: JSON.stringify({ message: `project ${project.ref} was not found` }),
  })
})

test('a request with a body counts once', async () => {
  const left = async () => {
    const { headers } = await pooler.api('GET', '/v1/profile', owner.token)
    return Number(headers.get('x-ratelimit-remaining'))
  }
  const before = await left()
  const slow = await begin('POST', '/v1/access-tokens', owner.token, { name: '' })
  expect((await slow.finish()).status).toBe(400)
  expect(await left()).toBe(before - 2)
})

// What the public documentation tells its users to type, byte for byte, against a running process:
// host, ref, token and ids are the only difference. And the document that describes the API itself.
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { needsProgram, runProgram } from '../support/program.ts'
import { psql } from '../support/psql.ts'
import { poolerDomain, RunningPooler } from '../support/running-pooler.ts'
import type { TestPerson, TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
let project: TestProject
let owner: TestPerson
let person: TestPerson

beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())
beforeEach(async () => {
  project = await pooler.project({ input: { useJit: false, enforceSsl: true } })
  owner = await pooler.person(project, { membership: 'owner', rules: [] })
  person = await pooler.person(project, { rules: [] })
})

/** A line of the documentation in a shell; gives the status and the body. */
async function typed(line: string): Promise<{ status: number; body: unknown }> {
  const env = { API: pooler.apiUrl, PROJECT_REF: project.ref, TOKEN: owner.token }
  const script = `${line} --silent --show-error --write-out '\\n%{http_code}'`
  const { stdout, stderr, exitCode } = await runProgram('sh', ['-c', script], { env })
  expect([exitCode, stderr]).toEqual([0, ''])
  const [status = '', ...body] = stdout.trimEnd().split('\n').reverse()
  const text = body.reverse().join('\n')
  return { status: Number(status), body: text === '' ? null : JSON.parse(text) }
}

const state =
  'curl -X GET  "$API/v1/projects/$PROJECT_REF/database/jit-access" -H "Authorization: Bearer $TOKEN"'
const putState = (to: string) =>
  `curl -X PUT  "$API/v1/projects/$PROJECT_REF/database/jit-access" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"state":"${to}"}'`
const putRule = (userId: string, role: string, cidr: string, expiresAt: number) =>
  `curl -X PUT  "$API/v1/projects/$PROJECT_REF/database/jit" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{"user_id":"${userId}","user_roles":[{"role":"${role}","allowed_networks":{"allowed_cidrs":[{"cidr":"${cidr}"}]},"expires_at":${expiresAt}}]}'`

test('each curl line of the guide does what the guide says, with milliseconds and user_roles', async (context) => {
  needsProgram(context, 'curl')
  expect(await typed(state)).toEqual({ status: 200, body: { state: 'disabled' } })
  const enabled = { state: 'enabled', appliedSuccessfully: true }
  expect(await typed(putState('enabled'))).toEqual({ status: 200, body: enabled })
  expect(await typed(state)).toEqual({ status: 200, body: { state: 'enabled' } })
  const endMs = Date.now() + 3_600_000
  const given = await typed(putRule(person.userId, project.people.role, '176.1.12.1/32', endMs))
  expect(given).toMatchObject({
    status: 200,
    body: {
      user_id: person.userId,
      user_roles: [
        {
          role: project.people.role,
          allowed_networks: { allowed_cidrs: [{ cidr: '176.1.12.1/32' }] },
          expires_at: Math.floor(endMs / 1000),
        },
      ],
    },
  })
  const disabled = { state: 'disabled', appliedSuccessfully: true }
  expect(await typed(putState('disabled'))).toEqual({ status: 200, body: disabled })
})

test('each string of the guide lets the person in: direct and pooled, in a URL and as conninfo', async (context) => {
  needsProgram(context, 'curl')
  needsProgram(context, 'psql')
  const { ref, database } = project
  const { role } = project.people
  await typed(putState('enabled'))
  await typed(putRule(person.userId, role, '127.0.0.1/32', Date.now() + 3_600_000))
  const host = '127.0.0.1'
  const [session, transaction] = [pooler.portOf('session'), pooler.portOf('transaction')]
  const direct = `db.${ref}.${poolerDomain}`
  const { token } = person
  const env = { PGPASSWORD: token }
  const strings: [string, Record<string, string>][] = [
    [`postgres://${role}:${token}@${direct}:${session}/${database}?hostaddr=${host}`, {}],
    [`postgres://${role}@${direct}:${session}/${database}?sslmode=require&hostaddr=${host}`, env],
    [`postgres://${role}.${ref}:${token}@${host}:${session}/${database}?options=-c%20jit%3don`, {}],
    [
      `host=${host} port=${session} dbname=${database} user=${role}.${ref} options='-c jit=on'`,
      env,
    ],
    [
      `postgres://${role}.${ref}@${host}:${transaction}/${database}?sslmode=require&options=-c%20jit%3dtrue`,
      env,
    ],
  ]
  for (const [string, own] of strings) {
    const { stdout, stderr } = await psql(string, 'SELECT current_user', { env: own })
    expect([string, stdout.trim()], stderr).toEqual([string, role])
  }
})

test('the OpenAPI document is a valid one', async () => {
  const document = await (await fetch(`${pooler.apiUrl}/api/openapi`)).json()
  const { valid, errors } = await new Validator().validate(document as Record<string, unknown>)
  expect(errors ?? []).toEqual([])
  expect(valid).toBe(true)
})

// What the metrics tell of people: decisions on their tokens, who is in, and why access ended.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { PersonSession } from '../support/person-session.ts'
import { parsePrometheusText } from '../support/prometheus-text.ts'
import { RunningPooler } from '../support/running-pooler.ts'
import type { TestProject } from '../support/running-projects.ts'

let pooler: RunningPooler
let project: TestProject

beforeAll(async () => {
  pooler = await RunningPooler.start()
  project = await pooler.project()
})
afterAll(() => pooler.stop())

async function metric(name: string, labels: Record<string, string> = {}): Promise<number> {
  const text = await (await fetch(`${pooler.apiUrl}/metrics`)).text()
  const found = [...parsePrometheusText(text).values()]
    .flatMap(({ samples }) => samples)
    .find(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
  return found?.value ?? 0
}

test('decisions are timed by what was decided, and ends are counted by their reason', async () => {
  const { ref, people } = project
  const person = await pooler.person(project, { membership: 'owner' })
  const [one, other] = [
    await PersonSession.enter(pooler, project, person.token),
    await PersonSession.enter(pooler, project, person.token),
  ]
  const unknown = `sbp_${'0'.repeat(40)}`
  await expect(PersonSession.enter(pooler, project, unknown)).rejects.toThrow()
  const decided = (decision: string) => metric('pooler_token_decision_seconds_count', { decision })
  expect(await decided('allowed')).toBe(2)
  expect(await decided('refused')).toBe(1)
  expect(await decided('undecided')).toBe(0)
  expect(await metric('pooler_access_sessions')).toBe(2)

  await one.client.send(Buffer.from('5800000004', 'hex'))
  const left = (reason: string) => metric('pooler_clients_left_total', { tenant: ref, reason })
  await eventually(async () => expect(await left('terminate')).toBe(1))
  await pooler.api('DELETE', `/v1/projects/${ref}/database/jit/${person.userId}`, person.token)
  expect((await other.fatal()).M).toContain('EACCESSENDED')
  await eventually(async () => {
    expect(await metric('pooler_access_ended_total', { tenant: ref, reason: 'rule removed' })).toBe(
      1,
    )
  })
  expect(await left('EACCESSENDED')).toBe(1)
  expect(await metric('pooler_access_sessions')).toBe(0)
  const text = await (await fetch(`${pooler.apiUrl}/metrics`)).text()
  expect(text).not.toContain(person.userId)
  expect(text).not.toContain(person.email)
  expect(text).toContain(`role="${people.role}"`)
})

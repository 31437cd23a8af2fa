// A project that is deleted and made again under its ref is another project.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'
import { RunningPooler } from '../support/running-pooler.ts'

const postgres = sharedPostgres()
let running: RunningPooler
beforeAll(async () => {
  running = await RunningPooler.start()
})
afterAll(() => running.stop())

test('clients of the old project are ended, whatever the new one has in common with it', async () => {
  const project = await running.project()
  const { role, password } = project.app
  const user = `${role}.${project.ref}`
  const client = await RawClient.loggedIn({
    port: running.portOf(),
    tls: 'request',
    user,
    password,
  })
  const metadata = new URL(running.metadataUrl).pathname.slice(1)
  // Both in one transaction: the change that is announced is one.
  await postgres.query(
    'update latchkey.tenants set id = gen_random_uuid() where ref = $1',
    [project.ref],
    metadata,
  )
  const messages = await client.readAll()
  expect(messages.at(-1)?.body.toString()).toContain('ETERMINATED')
  client.close()
})

// Strangers by the hundred who ask for projects that do not exist: they cost the metadata and the log
// little, and those who are at home here notice nothing.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import * as raw from '../support/raw-messages.ts'
import { errorFields } from '../support/raw-replies.ts'
import { RunningPooler } from '../support/running-pooler.ts'

let pooler: RunningPooler
beforeAll(async () => {
  pooler = await RunningPooler.start()
})
afterAll(() => pooler?.stop())

async function refusalOf(ref: string): Promise<string> {
  const client = await RawClient.connect({ port: pooler.portOf() })
  await client.send(raw.startupMessage({ user: `somebody.${ref}`, database: 'postgres' }))
  const [error] = await client.readAll()
  client.close()
  return /\((\w+)\)/.exec(errorFields(error?.body as Buffer).M ?? '')?.[1] ?? 'none'
}

test('a flood of made-up refs is refused without look-ups, and its log lines are counted', async () => {
  const { app, ref, database } = await pooler.project()
  const user = { user: `${app.role}.${ref}`, password: app.password, database }
  const logIn = () => RawClient.loggedIn({ port: pooler.portOf(), ...user })
  ;(await logIn()).close()
  const refusals: string[] = []
  // A hundred of them within ten seconds, however long a login takes here.
  while (!refusals.includes('EUNKNOWNPROJECTS') && refusals.length < 5000) {
    const refs = Array.from({ length: 60 }, (_, at) => `madeup${refusals.length + at}`)
    refusals.push(...(await Promise.all(refs.map(refusalOf))))
  }
  expect(new Set(refusals)).toEqual(new Set(['ENOTFOUND', 'EUNKNOWNPROJECTS']))
  const client = await logIn()
  await client.query('select 1')
  await client.untilReady()
  client.close()
  const logged = (code: string) => pooler.captured.with({ code, level: 'info' }).length
  const lines = logged('ENOTFOUND') + logged('EUNKNOWNPROJECTS')
  expect(lines).toBeGreaterThan(0)
  expect(lines).toBeLessThan(refusals.length)
})

// A client that listens, or begins to, on a server of its project's former place, while the connection that
// listens for all is at the new one: no mark goes from one Postgres to the other.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Pool } from '../../pooler/pool/pool.ts'
import { ConsoleWorld } from '../support/console-world.ts'
import { eventually } from '../support/eventually.ts'
import { Listener } from '../support/listeners.ts'
import {
  type PostgresAccess,
  sharedPostgres,
  startPostgres,
  type TestPostgres,
} from '../support/postgres.ts'
import type { RawClient } from '../support/raw-client.ts'

let world: ConsoleWorld
let newPlace: TestPostgres
let listener: Listener
beforeAll(async () => {
  world = await ConsoleWorld.start()
  newPlace = await startPostgres()
})
beforeEach(async () => {
  await world.newProject()
  const { ref, app, database } = world.project
  await newPlace.createRole(app.role, app.password)
  await newPlace.createDatabase(database)
  const { pooler } = world
  const login = { user: `${app.role}.${ref}`, password: app.password, database }
  listener = await Listener.connect({ port: pooler.portOf(), ...login })
})
afterEach(async () => {
  listener.raw.close()
  await world.settled()
})
afterAll(async () => {
  await world?.pooler.stop()
  await newPlace?.stop()
})

function thePool(): Pool {
  const [entry] = world.pooler.pooler.data.pools.entriesOf(world.project.ref)
  if (entry === undefined) throw new Error('the project has no pool')
  return entry.pool
}

const move = () => world.pooler.change(world.project, { dbPort: newPlace.port })

async function hearsFrom(place: PostgresAccess, payload: string): Promise<void> {
  const { database } = world.project
  await place.query(`notify news, '${payload}'`, undefined, database)
  await eventually(() => listener.payloads.includes(payload))
}

const noticesOf = ({ received }: RawClient) => received.filter(({ type }) => type === 'N').length

test('a LISTEN at the place of before ends there, and listens at the new one', async () => {
  await listener.run('begin; listen news')
  await move()
  await listener.run('commit')
  await eventually(() => thePool().hub.isConnected && thePool().slots === 0)
  expect(noticesOf(listener.raw)).toBe(1)
  await hearsFrom(newPlace, 'from the new place')
  expect(await listener.column("select current_setting('port')")).toEqual([`${newPlace.port}`])
})

test('its own, from the place of before, is told once', async () => {
  await listener.run('listen news')
  await eventually(() => thePool().hub.isConnected)
  await eventually(() => [...thePool().servers].every(({ state }) => state === 'idle'))
  await hearsFrom(sharedPostgres(), 'from the old place')
  await listener.run("begin; notify news, 'own'")
  await move()
  // It is told of the gap when the connection listens at the new place.
  await eventually(() => noticesOf(listener.raw) === 1)
  expect(await listener.run('commit')).toBe('CAZ')
  await hearsFrom(newPlace, 'from the new place')
  expect(listener.payloads).toEqual(['from the old place', 'own', 'from the new place'])
})

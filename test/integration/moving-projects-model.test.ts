// Random clients of one project on few servers, while an operator moves it, gives its roles other passwords,
// pauses, bans, deletes and makes it anew, and kills its servers: each question has its own answer, from the place
// where the project is, and every error is told because of something that was done.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ConsoleWorld } from '../support/console-world.ts'
import { eventually } from '../support/eventually.ts'
import { MovingFleet } from '../support/moving-fleet.ts'
import { MovingOperator } from '../support/moving-operator.ts'
import { MovingPlaces } from '../support/moving-places.ts'
import { MovingProject } from '../support/moving-project.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { roundsMsMax, seededRounds } from '../support/seeded-rounds.ts'

const rounds = 3
const changes = 16
/** The model is young: a suite is to fail for what was changed, and a long run to find what was not. */
const usualSeed = 9302

let world: ConsoleWorld
let places: MovingPlaces
beforeAll(async () => {
  world = await ConsoleWorld.start()
  places = await MovingPlaces.make()
})
afterAll(async () => {
  await world?.settled()
  await world?.pooler.stop()
  await places?.remove()
})

async function round(random: SeededRandom) {
  const { pooler } = world
  const place = random.pick(places.serving)
  const passwords = random.chance(0.3) ? 'asked for' : 'stored'
  const project = await MovingProject.make(pooler, places, { place, passwords })
  project.ledger.note(`passwords ${passwords}`)
  const consoles = [await world.connect(), await world.connect()] as const
  const operator = new MovingOperator(project, consoles, random.fork())
  const fleet = new MovingFleet(project, random.fork())
  try {
    const running = fleet.run()
    const changing = (async () => {
      for (let left = changes; left > 0 && !fleet.hasFailed; left--) await operator.act()
      await operator.rest()
    })()
    await Promise.all([running, changing.finally(() => fleet.stop())])
    await fleet.checkAtRest()
    fleet.leave()
    await world.settled()
    await project.remove()
    await eventually(async () => {
      const left = await places.backends()
      if (left.length > 0) throw new Error(`left: ${left.join()}`)
    })
    expect(pooler.captured.with({ level: 'error' })).toEqual([])
    return fleet.figures
  } catch (error) {
    console.log(project.ledger.journal.slice(-25).join('\n'))
    throw error
  } finally {
    fleet.leave()
    project.unfollow()
  }
}

test(
  'whoever is in has answers to its own questions, from where the project is, or is told why not',
  async () => {
    const sums = await seededRounds('moving projects', rounds, round, usualSeed)
    expect(sums.answers).toBeGreaterThan(sums.errors)
  },
  roundsMsMax(rounds),
)

// Ways to log in, beside each other: a password by SCRAM, a personal access token, a session JWT. All by
// TLS, since tokens need it, and each client asks once and leaves.
import { randomUUID } from 'node:crypto'
import type { Address } from '../support/address.ts'
import type { LatchkeyRun } from '../support/latchkey.ts'
import { projectRef } from '../support/latchkey.ts'
import { faultsOf } from '../support/measure.ts'
import { appRole } from '../support/postgres.ts'
import { runCase } from '../support/rounds.ts'
import {
  type Scenario,
  type ScenarioResult,
  secondsOf,
  warmUpSecondsOf,
} from '../support/scenario.ts'
import { ableTargets, type Target } from '../support/target.ts'
import { comeAndGo, lanes } from './churn.ts'

export const logins: Scenario = {
  name: 'logins',
  about: 'What does a login with a token, or with a session JWT, cost beside one with a password?',
  isCompared: true,
  async run(world, options): Promise<ScenarioResult> {
    const seconds = secondsOf(options, 3)
    const { token, session } = await person(world.latchkey)
    const { target } = world.latchkey
    const targets = [
      ...ableTargets(
        world.others,
        { by: 'logins', needs: ['scram', 'tls'], clients: lanes },
        options.say,
      ),
      byPassword(target, 'token', token),
      byPassword(target, 'session JWT', session),
      target,
    ]
    const done = await runCase(world, {
      name: 'logins, TLS; latchkey and others by SCRAM',
      unit: 'logins',
      rounds: options.rounds,
      seed: options.seed,
      targets,
      seconds,
      warmUpSeconds: warmUpSecondsOf(options, true, 1),
      turn: (one, turnSeconds) => comeAndGo(one, true, turnSeconds),
    })
    options.onCase(done)
    return { settings: { seconds }, cases: [done], faults: faultsOf(done) }
  },
}

function byPassword(target: Target, name: string, password: string): Target {
  const options = '-c jit=on'
  const by = (address: Address): Address => ({ ...address, password, options })
  return { ...target, name, transaction: by(target.transaction) }
}

/** A member with a rule for the application's role, so that all share one pool. */
async function person(run: LatchkeyRun): Promise<{ token: string; session: string }> {
  const { api } = run
  const userId = randomUUID()
  await api('PUT', `/api/members/${userId}`, { email: 'ada@example.com', name: 'Ada' })
  const made = await api('POST', `/api/members/${userId}/access-tokens`, { name: 'bench' })
  const { token } = made as { token: string }
  await run.allowPeople(projectRef, userId)
  const path = `/v1/projects/${projectRef}/database/jit`
  await api('PUT', path, { user_id: userId, roles: [{ role: appRole }] }, token)
  const opened = await api('POST', '/v1/auth/session', { ttl_seconds: 3600 }, token)
  return { token, session: (opened as { access_token: string }).access_token }
}

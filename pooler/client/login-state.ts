// What a client has from its login on: the settings that it asked for, the profile it begins with, and
// what it is told of both. Applications log in alike, thousands of times, so theirs is remembered.
import { LRUCache } from 'lru-cache'
import type { Attribution } from '../relay/attribution.ts'
import { profileOf, type SettingsProfile } from '../relay/session-settings.ts'
import { type LoginReports, reportMessages } from './login-answer.ts'
import type { Settings } from './startup-settings.ts'

export interface LoginState {
  /** As the client sees them. */
  readonly startup: Settings
  readonly profile: SettingsProfile
  /** ParameterStatus messages. */
  readonly reports: Buffer
}

/** Of one server's baseline; an application that names itself anew each time must not fill memory. */
const statesMax = 20
const stateCharactersMax = 1000

const statesByBaseline = new WeakMap<Settings, LRUCache<string, LoginState>>()

/** `spelled`: the settings of the startup packet in the server's spelling; `reports.values` has them. */
export function loginStateOf(
  reports: LoginReports,
  spelled: Settings,
  attribution: Attribution,
): LoginState {
  const values = attribution.ownValues(reports.values)
  const startup = attribution.ownValues(spelled)
  return {
    startup,
    profile: profileOf(new Map([...values, ...startup])),
    reports: reportMessages({ values, spelling: reports.spelling }),
  }
}

/** The same for a client whose settings are known without asking a server. */
export function knownLoginState(
  { baseline, spelling }: { readonly baseline: Settings; readonly spelling: Settings },
  spelled: Settings,
  attribution: Attribution,
): LoginState {
  const key = attribution.isPersons ? null : keyOf(spelled)
  const known = key === null ? undefined : statesByBaseline.get(baseline)?.get(key)
  if (known !== undefined) return known
  const values = new Map([...baseline, ...spelled])
  const made = loginStateOf({ values, spelling }, spelled, attribution)
  if (key !== null) remember(baseline, key, made)
  return made
}

function remember(baseline: Settings, key: string, state: LoginState): void {
  let states = statesByBaseline.get(baseline)
  if (states === undefined) {
    states = new LRUCache({ max: statesMax })
    statesByBaseline.set(baseline, states)
  }
  states.set(key, state)
}

/** null: too long to be remembered. */
function keyOf(spelled: Settings): string | null {
  let key = ''
  // A startup packet has no NUL within a name or a value.
  for (const [name, value] of spelled) key += `${name}\0${value}\0`
  return key.length > stateCharactersMax ? null : key
}

// The name that a server bears (application_name) while a client has it: a person's says who it is,
// an application's is its own and never looks like a person's. The client sees its own part alone.
// It helps those who read pg_stat_activity and logs; proof is the record of who held which server.
import { applicationNameBytesMax, cleanAscii } from '../../shared/protocol/application-name.ts'
import { portalQuery, sync } from '../../shared/protocol/frontend-messages.ts'
import { type SettingsProfile, settingKey, withSetting } from './session-settings.ts'

export const nameSetting = 'application_name'

const mark = ' via latchkey'
const markPattern = /(?:^| +)via +latchkey/gi

/** Names that had to be cut, remembered with what the client calls itself. */
const cutNamesMax = 20
const emailBytesMax = 40
const emailBytesKept = 30
const userIdDigits = 8

/** What stands for a person: at most 40 characters of printable ASCII without a blank. */
export function personLabel(userId: string, email: string | null): string {
  if (email === null || email === '') return userId
  const clean = cleanAscii(Buffer.from(email)).replaceAll(' ', '_')
  if (clean.length <= emailBytesMax) return clean
  return `${clean.slice(0, emailBytesKept)}~${userId.slice(0, userIdDigits)}`
}

export class Attribution {
  readonly #label: string | null
  /** Made when first needed. */
  #cutNames: Map<string, string> | null = null
  #own: SettingsProfile | null = null
  #onServer: SettingsProfile | null = null

  /** null: an application. */
  constructor(label: string | null) {
    this.#label = label
  }

  get isPersons(): boolean {
    return this.#label !== null
  }

  /** What the server is called while the client calls itself `own`. */
  nameFor(own: string): string {
    if (this.#label === null) return withoutMark(own)
    const whole = own === '' ? `${this.#label}${mark}` : `${this.#label}${mark} ${own}`
    if (whole.length <= applicationNameBytesMax) return whole
    const cut = whole.slice(0, applicationNameBytesMax)
    if (this.#cutNames === null || this.#cutNames.size >= cutNamesMax) this.#cutNames = new Map()
    this.#cutNames.set(cut, own)
    return cut
  }

  /** What the client calls itself when the server is called `name`: a rollback brings old names back. */
  ownOf(name: string): string {
    if (this.#label === null) return withoutMark(name)
    const known = this.#cutNames?.get(name)
    if (known !== undefined) return known
    const prefix = `${this.#label}${mark}`
    if (name === prefix) return ''
    return name.startsWith(`${prefix} `) ? name.slice(prefix.length + 1) : name
  }

  /** A value that a server reports, as the client is to see it. */
  ownValue(setting: string, value: string): string {
    return settingKey(setting) === nameSetting ? this.ownOf(value) : value
  }

  /** These settings of a server, by settingKey, as the client is to see them. */
  ownValues(settings: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const name = settings.get(nameSetting)
    return name === undefined ? settings : new Map(settings).set(nameSetting, this.ownOf(name))
  }

  /** The client's profile as its server is to have it. */
  onServer(profile: SettingsProfile): SettingsProfile {
    if (this.#label === null) return profile
    if (this.#own !== profile || this.#onServer === null) {
      this.#own = profile
      const name = this.nameFor(profile.wanted.get(nameSetting) ?? '')
      this.#onServer = withSetting(profile, nameSetting, name)
    }
    return this.#onServer
  }
}

/** Taking one away may bring the next one together. */
function withoutMark(name: string): string {
  let before = name
  for (;;) {
    const after = before.replace(markPattern, '')
    if (after === before) return after
    before = after
  }
}

/**
 * Names the server anew, in one batch. SET and not set_config: a query here would fix the snapshot of
 * a transaction that is about to choose its isolation. `isLocal` within a transaction, whose end
 * brings back what was before. The text is ASCII, and E'' reads alike under all settings.
 */
export function renameMessages(name: string, isLocal: boolean): Buffer {
  const literal = `E'${name.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
  const sql = `SET ${isLocal ? 'LOCAL' : 'SESSION'} ${nameSetting} = ${literal}`
  return Buffer.concat([portalQuery(sql, []), sync()])
}

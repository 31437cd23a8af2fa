// The settings that one client has, wherever it goes next, and what it is told of them. What a server
// has of them, and brings them there, is session-restorer.ts.
import { parameterStatus } from '../../shared/protocol/backend-messages.ts'
import { type Attribution, nameSetting } from './attribution.ts'
import type { ServerLink } from './server-link.ts'
import type { SessionAnswer } from './session-question.ts'
import { profileOf, type SettingsProfile, settingKey, withSetting } from './session-settings.ts'
import type { Transport } from './transport.ts'

const none: readonly string[] = []

export class ClientProfile {
  readonly #transport: Transport
  readonly #attribution: Attribution
  readonly #startup: ReadonlyMap<string, string>
  settings: SettingsProfile
  #checked: SettingsProfile | null = null
  #overridden: readonly string[] = none

  constructor(
    transport: Transport,
    attribution: Attribution,
    startup: ReadonlyMap<string, string>,
    settings: SettingsProfile,
  ) {
    this.#transport = transport
    this.#attribution = attribution
    this.#startup = startup
    this.settings = settings
  }

  /** What it calls itself. */
  get ownName(): string {
    return this.settings.wanted.get(nameSetting) ?? ''
  }

  /** As its server is to have them. */
  get onServer(): SettingsProfile {
    return this.#attribution.onServer(this.settings)
  }

  /** What the server is called while the client calls itself as it does. */
  get serverName(): string {
    return this.#attribution.nameFor(this.ownName)
  }

  /**
   * Startup settings that the client has set to the server's own default. A server that has the
   * default because nobody set it looks the same, and would be thought to have been reset.
   */
  overridden({ baseline }: ServerLink): readonly string[] {
    if (this.#startup.size === 0) return none
    if (this.#checked !== this.settings) this.#check(baseline)
    return this.#overridden
  }

  /** It has another value from here on, and where it is reported the client hears. */
  tell(link: ServerLink, [name, value]: readonly [name: string, value: string]): void {
    if (this.settings.wanted.get(settingKey(name)) === value) return
    this.settings = withSetting(this.settings, name, value)
    const spelling = link.spelling.get(name)
    if (spelling !== undefined) this.#transport.write(parameterStatus(spelling, value))
  }

  onReport(name: string, reported: string, isOwn: boolean, link: ServerLink): void {
    const value = this.#attribution.ownValue(name, reported)
    if (name === nameSetting) link.isMisnamed = this.#attribution.nameFor(value) !== reported
    const isNews = this.settings.wanted.get(settingKey(name)) !== value
    if (isNews) this.settings = withSetting(this.settings, name, value)
    if (isNews || !isOwn) this.#transport.write(parameterStatus(name, value))
  }

  /**
   * What the server has of them; `hasReset`: a RESET has run. True where it has lost some of the
   * startup's, which count again.
   */
  take({ settings, unset }: SessionAnswer, hasReset: boolean, link: ServerLink): boolean {
    let isAnyLost = false
    for (const [name, value] of settings) {
      if (value === null) {
        this.#forget(name)
        link.applied.delete(name)
        continue
      }
      if (unset.has(name)) link.applied.delete(name)
      else if (!link.reported.has(name)) link.applied.set(name, value)
      const startup = this.#startup.get(name)
      const own = this.#attribution.ownValue(name, value)
      if (startup !== undefined && (unset.has(name) || (hasReset && this.#isOther(name, value)))) {
        this.tell(link, [name, startup])
        isAnyLost = true
      } else this.settings = withSetting(this.settings, name, own)
    }
    return isAnyLost
  }

  /**
   * DISCARD ALL: what the client has set is gone, and its startup settings count again; those that are
   * reported when the client is told, see SessionRestorer.takeDue.
   */
  onDiscarded(link: ServerLink): void {
    for (const name of link.applied.keys()) if (!this.#startup.has(name)) this.#forget(name)
    link.applied.clear()
    for (const [name, value] of this.#startup) {
      if (!link.reported.has(name)) this.settings = withSetting(this.settings, name, value)
    }
  }

  /** Of these the server does not say whether they are set. */
  #isOther(name: string, value: string): boolean {
    const isUntold = name === 'role' || name === 'session_authorization'
    return isUntold && value !== this.settings.wanted.get(name)
  }

  /** Apart: what a closure takes from its function is allocated each time that it is called. */
  #check(baseline: ReadonlyMap<string, string>): void {
    this.#checked = this.settings
    const { wanted } = this.settings
    this.#overridden = [...this.#startup.keys()].filter((name) => {
      const value = wanted.get(name)
      return value !== this.#startup.get(name) && value === baseline.get(name)
    })
  }

  #forget(name: string): void {
    if (!this.settings.wanted.has(name)) return
    const wanted = new Map(this.settings.wanted)
    wanted.delete(name)
    this.settings = profileOf(wanted)
  }
}

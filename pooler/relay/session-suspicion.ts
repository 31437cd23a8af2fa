// What the transaction in progress may have left on its server: gathered from the texts it ran and
// the tags it got, until the server is asked about it.
import {
  anySetting,
  hiddenSetting,
  isOpen,
  type TextVerdict,
  transactionSettings,
} from './text-verdict.ts'

/** Settings of one transaction that are asked for by name; beyond it, all are asked for. */
const namesMax = 200
/** Stands for a set that nothing was ever put into: most clients are idle, and a Set takes 200 bytes. */
const none: ReadonlySet<string> = new Set()

export class SessionSuspicion {
  /** Settings to ask for. */
  #names: Set<string> | null = null
  /** Settings that texts name in SET or RESET; they count when a tag tells of one. */
  #inSets: Set<string> | null = null
  mayHold = false
  /** A text may have made temporary objects. */
  mayMakeTemporary = false
  /** A SET or RESET was done. */
  hasSet = false
  /** Texts behind it may be read by other settings than those known. */
  mayChangeReading = false
  /** A SET may give a setting its default. */
  mayUnset = false

  get names(): ReadonlySet<string> {
    return this.#names ?? none
  }

  get isAny(): boolean {
    return this.mayHold || this.hasSet || this.names.size > 0
  }

  /** A text is run. */
  onText(verdict: TextVerdict): void {
    for (const name of verdict.sets) {
      this.#inSets ??= new Set()
      this.#add(this.#inSets, name)
    }
    for (const name of verdict.configs) this.ask(name)
    if (verdict.mayHold) this.mayHold = true
    if (verdict.mayMakeTemporary) this.mayMakeTemporary = true
    if (verdict.mayUnset) this.mayUnset = true
    if (verdict.mayChangeReading) this.mayChangeReading = true
  }

  ask(name: string): void {
    this.#names ??= new Set()
    this.#add(this.#names, name)
  }

  #add(to: Set<string>, name: string): void {
    if (to.size < namesMax) to.add(name)
    // Not all are on the server's list, hence those in SET too: the server is to forget the others.
    else this.#askAll()
  }

  #askAll(): void {
    this.#names ??= new Set()
    this.#names.add(anySetting)
  }

  /** True where startup settings may be gone with it. */
  onSetTag(): boolean {
    if (!this.#isOfTransaction) {
      this.hasSet = true
      return this.mayUnset
    }
    // What texts have named ends with the transaction; the next tag needs a name of its own.
    this.#inSets = null
    return false
  }

  /** A SET or RESET may have been about one of these, as far as the texts of its transaction say. */
  namesAnyOf(settings: ReadonlyMap<string, string>): boolean {
    const named = this.#inSets ?? none
    return named.size === 0 || [...named].some((name) => isOpen(name) || settings.has(name))
  }

  get #isOfTransaction(): boolean {
    const named = this.#inSets ?? none
    return named.size > 0 && [...named].every((name) => transactionSettings.has(name))
  }

  /** A function, or a block of code, has run: it may have done anything. */
  onCode(): void {
    this.#askAll()
    this.mayHold = true
    this.mayChangeReading = true
  }

  /** The settings to be asked for now. */
  settingsToAsk(): ReadonlySet<string> {
    if (!this.hasSet) return this.names
    const inSets = [...(this.#inSets ?? [])].filter((name) => name !== hiddenSetting)
    return new Set([...this.names, ...inSets, ...(this.#hasHiddenSet ? [anySetting] : [])])
  }

  /** Settings may have been made that are on no list of the server's. */
  get mayBeUnlisted(): boolean {
    return this.names.has(anySetting) || this.#hasHiddenSet
  }

  /** A SET whose name no text shows: everything is asked for. */
  get #hasHiddenSet(): boolean {
    return this.hasSet && (this.#inSets === null || this.#inSets.has(hiddenSetting))
  }

  /** The server has told all, or there is nothing to ask it at its transaction's end. */
  clear(): void {
    this.#names?.clear()
    this.#inSets = null
    this.mayHold = false
    this.mayMakeTemporary = false
    this.mayUnset = false
    this.mayChangeReading = false
    this.hasSet = false
  }
}

// The settings of a startup packet in the server's own spelling (`utc` is `UTC`): the server is
// asked once for each value, and remembered. What it refuses is told with its own words.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'
import { applicationNameAsKept } from '../../shared/protocol/application-name.ts'
import { encodeError, PostgresError } from '../../shared/protocol/error-response.ts'
import { extendedQuery, sync } from '../../shared/protocol/frontend-messages.ts'
import { headerBytes } from '../../shared/protocol/message-types.ts'
import { converse } from '../pool/server-conversation.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { settingOrder } from '../relay/session-settings.ts'

export type Settings = ReadonlyMap<string, string>

/** Spellings remembered over all pools, and their characters: a value may have 10,000. */
const spellingsMax = 20_000
const spellingsCharactersMax = 8 * 1024 * 1024
/** A server's upgrade or a new extension may change what a value means. */
const spellingTtlMs = 300_000

export class StartupSettings {
  readonly #spellings = new LRUCache<string, string>({
    max: spellingsMax,
    maxSize: spellingsCharactersMax,
    sizeCalculation: (spelled, key) => spelled.length + key.length,
    ttl: spellingTtlMs,
  })
  readonly #clock: Clock
  readonly #timeoutMs: number

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** All values in the server's spelling, or null when one of them has to be asked for. */
  known(poolKey: string, settings: Settings): Settings | null {
    const spelled = new Map<string, string>()
    for (const [name, value] of settings) {
      const known = isKept(name, value)
        ? value
        : this.#spellings.get(spellingKey(poolKey, name, value))
      if (known === undefined) return null
      spelled.set(name, known)
    }
    return spelled
  }

  /**
   * Sets all of them on a server that nobody else has and returns them as the server spells them.
   * Throws PostgresError, FATAL, for a value or a name that the server refuses.
   */
  async apply(link: ServerLink, poolKey: string, settings: Settings): Promise<Settings> {
    const entries = [...settings].sort(([a], [b]) => settingOrder(a) - settingOrder(b))
    const messages = entries.map(([name, value]) =>
      extendedQuery('SELECT pg_catalog.set_config($1, $2, false)', [name, value]),
    )
    const bytes = Buffer.concat([...messages, sync()])
    const result = await converse(
      link,
      { bytes, batch: entries.length },
      this.#timeoutMs,
      this.#clock,
    )
    if (result.error !== null) throw asFatal(result.error)
    const spelled = new Map<string, string>()
    entries.forEach(([name, value], index) => {
      const canonical = result.rows[index]?.[0] ?? value
      spelled.set(name, canonical)
      if (!isKept(name, value)) this.#spellings.set(spellingKey(poolKey, name, value), canonical)
      if (!link.reported.has(name)) link.applied.set(name, canonical)
    })
    link.profile = null
    return spelled
  }
}

/** It differs with each client and each person: nobody is asked where the answer is plain. */
const isKept = (name: string, value: string): boolean =>
  name === 'application_name' && applicationNameAsKept(value) === value

const spellingKey = (poolKey: string, name: string, value: string): string =>
  `${poolKey}\0${name}\0${value}`

const asFatal = (error: PostgresError): PostgresError =>
  new PostgresError(encodeError({ ...error.fields, severity: 'FATAL' }).subarray(headerBytes))

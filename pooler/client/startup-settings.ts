// The settings of a startup packet in the server's own spelling (`utc` is `UTC`): the server is
// asked once for each value, and remembered. What it refuses is told with its own words.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../shared/clock.ts'
import { applicationNameAsKept } from '../../shared/protocol/application-name.ts'
import { encodeError, PostgresError } from '../../shared/protocol/error-response.ts'
import { extendedQuery, sync } from '../../shared/protocol/frontend-messages.ts'
import { headerBytes } from '../../shared/protocol/message-types.ts'
import { ConversationFailed, converse } from '../pool/server-conversation.ts'
import { restart } from '../pool/server-reset.ts'
import type { ServerLink } from '../relay/server-link.ts'
import { isBeyondAscii, settingOrder, valueSql } from '../relay/session-settings.ts'

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
   * Sets all of them on a server that nobody else has, as if it had been opened for `person`, and
   * returns them as the server spells them, one character for each byte. Throws PostgresError, FATAL,
   * for a value or a name that the server refuses.
   */
  async apply(
    link: ServerLink,
    poolKey: string,
    settings: Settings,
    person: string | null,
  ): Promise<Settings> {
    const entries = [...settings].sort(([a], [b]) => settingOrder(a) - settingOrder(b))
    // What its last client has left would be part of the answers, and they are remembered for all.
    const start = restart(link, person)
    const bytes = Buffer.concat([...start, ...entries.map(setMessages), sync()])
    const messages = { bytes, queries: start.length, batch: entries.length }
    const result = await converse(link, messages, this.#timeoutMs, this.#clock)
    link.profile = null
    if (result.error !== null) {
      const ofBatch = result.rows.length < entries.length ? 1 : 0
      if (result.errors > ofBatch) throw new ConversationFailed(result.error.fields.message)
      throw asFatal(result.error)
    }
    const spelled = new Map<string, string>()
    entries.forEach(([name, value], index) => {
      const canonical = spellingOf(result.rows[index]?.[0] ?? null, value)
      spelled.set(name, canonical)
      if (!isKept(name, value)) this.#spellings.set(spellingKey(poolKey, name, value), canonical)
      if (!link.reported.has(name)) link.applied.set(name, canonical)
    })
    return spelled
  }
}

const setSql = 'SELECT pg_catalog.set_config($1, $2, false)'
/** In bytes there and back, as a startup packet's are: the client's encoding has no part in them. */
const setBytesSql = `SELECT pg_catalog.encode(pg_catalog.convert_to(
  pg_catalog.set_config($1, ${valueSql}, false), pg_catalog.getdatabaseencoding()), 'hex')`

const setMessages = ([name, value]: readonly [string, string]): Buffer =>
  isBeyondAscii(value)
    ? extendedQuery(setBytesSql, [name, Buffer.from(value).toString('hex')])
    : extendedQuery(setSql, [name, value])

const spellingOf = (said: string | null, value: string): string => {
  const isInHex = said !== null && isBeyondAscii(value)
  return Buffer.from(said ?? value, isInHex ? 'hex' : 'utf8').toString('latin1')
}

/** It differs with each client and each person: nobody is asked where the answer is plain. */
const isKept = (name: string, value: string): boolean =>
  name === 'application_name' && applicationNameAsKept(value) === value

const spellingKey = (poolKey: string, name: string, value: string): string =>
  `${poolKey}\0${name}\0${value}`

const asFatal = (error: PostgresError): PostgresError =>
  new PostgresError(encodeError({ ...error.fields, severity: 'FATAL' }).subarray(headerBytes))

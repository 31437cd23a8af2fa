// Asks a server, at the end of a transaction that may have left something, what it did leave: the
// values of settings, and what only this server can hold. Rollbacks and savepoints need no
// bookkeeping, because the answer is the state as it is.
import { extendedQuery, sync } from '../../shared/protocol/frontend-messages.ts'
import { sharedChannelsMax } from '../config/limits.ts'
import { arrayLiteral } from './array-literal.ts'
import { unaskedSettings, usualSettings } from './setting-names.ts'
import { anySetting, transactionSettings } from './text-verdict.ts'

/** What a server holds that cannot follow a client; the reasons for which a client is pinned. */
export const heldStates = [
  'large setting',
  'advisory lock',
  'temporary object',
  'held cursor',
  'prepared in SQL',
] as const
export type HeldState = (typeof heldStates)[number]

export interface SessionAnswer {
  /** By lower-case name, one character for each byte; null: there is no such setting. */
  readonly settings: ReadonlyMap<string, string | null>
  /** Of these, those that the session has not set, or has reset; where that was asked. */
  readonly unset: ReadonlySet<string>
  readonly held: HeldState | null
  /** Whatever `held` is. */
  readonly hasTemporary: boolean
  /** Texts that prepared statements in SQL, as far as they are told; whatever else is held. */
  readonly prepared: readonly string[]
  /** Of the protocol, on this server; null: that was not asked. */
  readonly statements: number | null
  /** `prepared` has all of them, and whole. */
  readonly isAllTold: boolean
  /** Channels that it listens to: their bytes in the server's encoding, one character each. */
  readonly channels: ReadonlySet<string>
}

/** Texts of SQL's prepared statements that are looked at, and their length. */
const preparedTextsMax = 50
const preparedCharactersMax = 1000

/** Name and value of a setting that is carried: a row of it is read whole, in any encoding. */
const settingBytesMax = 4096

// Names in lower case, because that is how they are compared. role, session_authorization and
// settings of extensions are not listed by pg_settings and are asked for by name. Those of the
// transaction that is over stay listed as set by the session. Values are told as bytes, because the
// client may have any encoding, and another one when they are restored. Texts name columns as well
// (UPDATE … SET port): what has a value and is not known to be a client's to set is looked up. CASE and
// ARRAY, because reading the list takes 0.4 ms: it is read only then.
const plainNames = [...usualSettings, 'role', 'session_authorization'].join(',')
const settingsSql = `
WITH asked (name) AS (
  SELECT name FROM pg_catalog.pg_settings WHERE $2::boolean AND source OPERATOR(pg_catalog.=) 'session'
  UNION SELECT 'session_authorization' WHERE $2::boolean
  UNION SELECT 'role' WHERE $2::boolean AND pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'
  UNION SELECT pg_catalog.unnest($1::pg_catalog.text[])
), listed (name, source) AS (
  SELECT pg_catalog.lower(name), source FROM pg_catalog.pg_settings WHERE $3::boolean
), known (from_sql, statement) AS (
  SELECT from_sql, pg_catalog.left(statement, ${preparedCharactersMax + 1}) FROM pg_catalog.pg_prepared_statements
), found (name, value, source, bytes) AS (
  SELECT read.name, value, source, pg_catalog.octet_length(read.name) OPERATOR(pg_catalog.+) pg_catalog.octet_length(value)
  FROM (SELECT pg_catalog.lower(name), pg_catalog.current_setting(name, true) FROM asked) AS read (name, value)
  LEFT JOIN listed ON listed.name OPERATOR(pg_catalog.=) read.name
  WHERE read.name OPERATOR(pg_catalog.<>) ALL ('{${[...transactionSettings].join(',')}}')
  AND CASE
    WHEN value IS NULL OR pg_catalog.strpos(read.name, '.') OPERATOR(pg_catalog.>) 0
      OR read.name OPERATOR(pg_catalog.=) ANY ('{${plainNames}}') THEN true
    ELSE read.name OPERATOR(pg_catalog.=) ANY (ARRAY(
      SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings
      WHERE context OPERATOR(pg_catalog.=) ANY ('{user,superuser}')))
  END
)
SELECT 'setting', name, pg_catalog.encode(pg_catalog.convert_to(value, pg_catalog.getdatabaseencoding()), 'hex'), source
FROM found WHERE (bytes OPERATOR(pg_catalog.>) ${settingBytesMax}) IS NOT TRUE
UNION ALL SELECT 'held', 'large setting', '1', NULL FROM found WHERE bytes OPERATOR(pg_catalog.>) ${settingBytesMax}`
// Tables, types, functions and all else in a schema depend on it.
const heldSql = `
SELECT 'held', held, '1', NULL FROM (
  SELECT 'advisory lock' FROM pg_catalog.pg_locks
  WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
  UNION SELECT 'temporary object' FROM pg_catalog.pg_depend
  WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
  AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
  UNION SELECT 'held cursor' FROM pg_catalog.pg_cursors WHERE is_holdable
  UNION SELECT 'prepared in SQL' FROM known WHERE from_sql
) AS state (held)
UNION ALL (
  SELECT 'prepared', pg_catalog.encode(pg_catalog.convert_to(statement, pg_catalog.getdatabaseencoding()), 'hex'), '1', NULL
  FROM known WHERE from_sql LIMIT ${preparedTextsMax + 1}
)
UNION ALL SELECT 'statements', pg_catalog.count(*)::pg_catalog.text, '1', NULL FROM known WHERE NOT from_sql
UNION ALL (
  SELECT 'channel', pg_catalog.encode(pg_catalog.convert_to(channel, pg_catalog.getdatabaseencoding()), 'hex'), '1', NULL
  FROM pg_catalog.pg_listening_channels() AS channel LIMIT ${sharedChannelsMax + 1}
)`

/** One statement's messages and a Sync. `asksSource`: what is unset matters. */
export function questionMessages(
  names: ReadonlySet<string>,
  asksSource: boolean,
  asksHeld: boolean,
): Buffer {
  const sql = asksHeld ? `${settingsSql} UNION ALL ${heldSql}` : settingsSql
  const isAny = names.has(anySetting)
  const asked = [...names].filter((name) => name !== anySetting && !unaskedSettings.has(name))
  return Buffer.concat([
    extendedQuery(sql, [arrayLiteral(asked), String(isAny), String(asksSource)]),
    sync(),
  ])
}

/** `rows` as the question's statement gives them. */
export function answerOf(rows: readonly (readonly (string | null)[])[]): SessionAnswer {
  const settings = new Map<string, string | null>()
  const unset = new Set<string>()
  const channels = new Set<string>()
  let [held, hasTemporary]: [HeldState | null, boolean] = [null, false]
  const prepared: string[] = []
  let statements: number | null = null
  for (const [kind, name, value = null, source = null] of rows) {
    if (kind === 'setting' && typeof name === 'string') {
      settings.set(name, value === null ? null : textOf(value))
      // An application's own setting is not listed, and is empty where it has been reset.
      const isGone = source === null ? name.includes('.') && value === '' : source !== 'session'
      if (isGone) unset.add(name)
    } else if (kind === 'held') {
      held = firstOf(held, name)
      if (name === 'temporary object') hasTemporary = true
    } else if (kind === 'prepared') prepared.push(textOf(name))
    else if (kind === 'statements') statements = Number(name)
    else if (kind === 'channel') channels.add(textOf(name))
  }
  const isAllTold =
    prepared.length <= preparedTextsMax &&
    prepared.every((text) => text.length <= preparedCharactersMax)
  return { settings, unset, held, hasTemporary, prepared, statements, isAllTold, channels }
}

/** One character for each byte. */
const textOf = (hex: string | null | undefined): string =>
  Buffer.from(hex ?? '', 'hex').toString('latin1')

/** The one that stands first in the list: 'large setting' lasts longest. */
const firstOf = (held: HeldState | null, name: string | null | undefined): HeldState | null =>
  heldStates.find((state) => state === held || state === name) ?? null

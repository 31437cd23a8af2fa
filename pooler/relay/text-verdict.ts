// What a text of SQL may leave behind on a server that no command tag tells of. Looked at once, and
// remembered. A guess that errs to the careful side: what it says is asked of the server, not believed.
import { LRUCache } from 'lru-cache'
import { normalizedText } from './normalized-text.ts'
import { outlineOf } from './sql-outline.ts'
import { mayReferToStatements } from './statement-references.ts'
import { mayMatter, mayMatterIn } from './telling-words.ts'
import { isReadBy } from './text-environment.ts'

export interface TextVerdict {
  /** Settings that it may SET or RESET, in lower case; they count when a tag says that it did. */
  readonly sets: readonly string[]
  /** Settings that functions in it may change, with no tag to tell; `*`: any. */
  readonly configs: readonly string[]
  /** It may leave locks, temporary objects, held cursors or channels. */
  readonly mayHold: boolean
  /** It may make temporary objects. */
  readonly mayMakeTemporary: boolean
  /** One of `sets`, or all, may be given its default, which for the client is that of its startup. */
  readonly mayUnset: boolean
  /** It may change how texts behind it are read, see text-environment.ts. */
  readonly mayChangeReading: boolean
  /** It may name prepared statements. */
  readonly mayNameStatements: boolean
  /** It may prepare one in SQL. */
  readonly mayPrepare: boolean
  /** It asks what sequences gave: in itself, or in an `earlier` text; null: it does not. */
  readonly asksSequences: 'own' | 'earlier' | 'unknown' | null
}

export const harmless: TextVerdict = {
  sets: [],
  configs: [],
  mayHold: false,
  mayMakeTemporary: false,
  mayUnset: false,
  mayChangeReading: false,
  mayNameStatements: false,
  mayPrepare: false,
  asksSequences: null,
}

/** Any setting: RESET ALL, or a name that is computed. */
export const anySetting = '*'
/** In `sets`: one whose name is not read, such as that of an application's own setting. */
export const hiddenSetting = '?'

/** It may be any setting. */
export const isOpen = (name: string): boolean => name === anySetting || name === hiddenSetting

/** Of a text that is not looked at: the server is asked about everything. */
export const unknownText: TextVerdict = {
  sets: [anySetting],
  configs: [anySetting],
  mayHold: true,
  mayMakeTemporary: true,
  mayUnset: true,
  mayChangeReading: true,
  mayNameStatements: true,
  mayPrepare: true,
  asksSequences: 'unknown',
}

/** They end with their transaction, however they were set (Postgres manual, SET TRANSACTION). */
export const transactionSettings: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
])

/** Longer texts are looked at each time, so that the memory is bounded by count. */
const rememberedCharactersMax = 2048
/** Beyond this, asking the server costs less than looking. */
export const lookedAtBytesMax = 16 * 1024
const verdicts = new LRUCache<string, TextVerdict>({ max: 5000 })

export function verdictOf(text: string): TextVerdict {
  // What is nothing to us need not push out others. Measured: DECISIONS.md, "What the relay's time goes into".
  return mayMatter(text) ? remembered(text) : harmless
}

function remembered(text: string): TextVerdict {
  const known = verdicts.get(text)
  if (known !== undefined) return known
  const verdict = mayMatter(text) ? judge(text) : harmless
  if (text.length <= rememberedCharactersMax) verdicts.set(text, verdict)
  return verdict
}

const prepareHead = /^\s*prepare\s+(?:"(?:[^"]|"")+"|[^\s("]+)\s*(?:\([^()]*\)\s*)?as\b/i

/** What an EXECUTE of a statement may leave that this text has prepared; null: nothing that no tag tells of. */
export function verdictOfPrepared(text: string): TextVerdict | null {
  const verdict = verdictOf(text.replace(prepareHead, ''))
  const { configs, mayMakeTemporary, asksSequences } = verdict
  return configs.length > 0 || mayMakeTemporary || asksSequences !== null ? verdict : null
}

/** Of the text that stands in `bytes`; `end` below `from`: it does not end there. */
export function verdictOfBytes(bytes: Buffer, from: number, end: number): TextVerdict {
  if (end < from || end > bytes.length || end - from > lookedAtBytesMax) return unknownText
  if (!mayMatterIn(bytes, from, end)) return harmless
  const text = normalizedText(bytes, from, end)
  return text === null ? verdictOf(bytes.toString('latin1', from, end)) : remembered(text)
}

/** In pg_proc: lastval and currval. */
const sequenceFunctions: ReadonlySet<number> = new Set([2559, 1575])

/** Of a call by a function's number in pg_proc. */
export const verdictOfFunction = (oid: number): TextVerdict => ({
  ...harmless,
  configs: [anySetting],
  mayHold: true,
  mayChangeReading: true,
  asksSequences: sequenceFunctions.has(oid) ? 'earlier' : null,
})

const word = String.raw`(?:"(?:[^"]|"")+"|[a-z_\x80-\xff][\w$\x80-\xff]*)`
const setPattern = new RegExp(
  String.raw`\b(?:set|reset)(?:\s+|(?="))(?:(?:session|local)(?:\s+|(?=")))?(${word}(?:\s*\.\s*${word})*)`,
  'gi',
)
const wordPattern = new RegExp(word, 'gi')
/** Its name, where that is a plain string, and whether it is for the transaction, where that is plain to see. */
const setConfigPattern =
  /\bset_config"?\s*\(\s*(?:('[^']*')(?:\s*::\s*\w+)?(?=\s*,)|\$\d+)?(?:\s*,\s*(?:'[^']*'|[\w.:]+|\$\d+)(?:::\w+)?\s*,\s*(true)\s*\))?/gi
const severalPattern = /;\s*[^;\s]/
const setHead = /^\s*(?:set|reset)\b/i
const doPattern = /(?:^|;)\s*do\b/i
const beyondAscii = /[\x80-\xff]/
const unsetPattern = /\breset\b|\bdefault\b|\btime\s+zone\s+local\b/i
const discardPattern = /\bdiscard\b/i
const preparePattern = /\bprepare\b/i
const temporaryPattern = /\b(?:temp|temporary)\b|\bpg_temp/i
const sequencePattern = /\b(?:lastval|currval)\b/i
const nextPattern = /\bnextval\b/i
const insertPattern = /\binsert\b/i
const holdPattern = /\b(?:hold|listen|prepare)\b/i

function judge(text: string): TextVerdict {
  const { text: outline, isUncertain } = outlineOf(text)
  const isCode = doPattern.test(outline)
  const sets = new Set(isUncertain || maySet(outline) ? setsIn(outline) : [])
  const configs = new Set(configsIn(outline, text))
  if (isCode) {
    // Where it fails no tag tells of it, and what it has committed stays.
    for (const name of [...setsIn(text), ...configsIn(text, text)]) configs.add(name)
    configs.delete(hiddenSetting)
  }
  if (isUncertain) sets.add(hiddenSetting)
  const mayMakeTemporary = isUncertain || temporaryPattern.test(text)
  let mayHold = isCode || mayMakeTemporary || holdPattern.test(text)
  const calls = isCode || isUncertain || callsUnknown(outline)
  if (calls) {
    mayHold = true
    configs.add(anySetting)
  }
  const mayNameStatements = mayReferToStatements(text)
  const asksSequences = sequencesIn(text)
  const isAny = mayHold || mayNameStatements || asksSequences !== null
  if (sets.size + configs.size === 0 && !isAny) return harmless
  const mayDiscard = discardPattern.test(text)
  const mayUnset = mayDiscard || (sets.size > 0 && unsetPattern.test(text))
  const names = [...sets, ...configs]
  const mayChangeReading = mayDiscard || names.some((name) => isOpen(name) || isReadBy(name))
  return {
    sets: [...sets],
    configs: [...configs],
    mayHold,
    mayMakeTemporary,
    mayUnset,
    mayChangeReading,
    mayNameStatements,
    mayPrepare: preparePattern.test(text),
    asksSequences,
  }
}

/** False: it is one statement, and another one than SET or RESET: UPDATE's columns are no settings. */
const maySet = (outline: string): boolean => severalPattern.test(outline) || setHead.test(outline)

/** Names of settings behind SET and RESET. */
function* setsIn(outline: string): Iterable<string> {
  for (const [, name = ''] of outline.matchAll(setPattern)) {
    if (beyondAscii.test(name)) yield hiddenSetting
    else {
      const parts = (name.match(wordPattern) ?? []).map(unquoted)
      yield* settingNamed(parts.join('.'))
    }
  }
}

/** Names that set_config sets for more than a transaction, as `outline` has its calls and `text` the names. */
function* configsIn(outline: string, text: string): Iterable<string> {
  for (const { 0: call, 1: literal, 2: isLocal, index } of outline.matchAll(setConfigPattern)) {
    // For the transaction only, as row security is usually fed.
    if (isLocal !== undefined) continue
    const at = index + call.indexOf("'")
    const name = literal === undefined ? '' : text.slice(at, at + literal.length)
    const isPlain = name.startsWith("'") && !name.includes('\\') && !beyondAscii.test(name)
    yield isPlain ? name.slice(1, -1).replaceAll("''", "'").toLowerCase() : anySetting
  }
}

function sequencesIn(text: string): TextVerdict['asksSequences'] {
  const at = text.search(sequencePattern)
  if (at === -1) return null
  const before = text.slice(0, at)
  const insert = before.search(insertPattern)
  const hasInserted = insert !== -1 && before.includes(';', insert)
  return hasInserted || nextPattern.test(before) ? 'own' : 'earlier'
}

/** Forms of SET that name their setting otherwise (Postgres manual, SET and the pages it refers to). */
const otherForms: Readonly<Record<string, readonly string[]>> = {
  all: [anySetting],
  authorization: ['session_authorization', 'role'],
  characteristics: [
    'default_transaction_isolation',
    'default_transaction_read_only',
    'default_transaction_deferrable',
  ],
  constraints: [],
  names: ['client_encoding'],
  schema: ['search_path'],
  seed: [],
  session: ['session_authorization', 'role'],
  time: ['timezone'],
  transaction: [...transactionSettings],
  xml: ['xmloption'],
}

const settingNamed = (name: string): readonly string[] =>
  Object.hasOwn(otherForms, name) ? (otherForms[name] ?? []) : [name]

const unquoted = (name: string): string =>
  name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"').toLowerCase() : name.toLowerCase()

/** Words that stand before a parenthesis and call nothing, or functions that leave nothing behind. */
const harmlessWords: ReadonlySet<string> = new Set(
  `abs acos all analyze and any array array_agg array_append array_cat array_dims array_length
  array_lower array_ndims array_position array_positions array_prepend array_remove array_replace
  array_to_json array_to_string array_upper as asc ascii asin atan atan2 avg begin between bigint
  bit bit_and bit_length bit_or bool_and bool_or boolean btrim by cardinality case cast cbrt ceil
  ceiling char char_length character check chr clock_timestamp coalesce col_description concat
  concat_ws conflict cos count cume_dist current_database current_date current_schema
  current_schemas current_setting current_timestamp currval date date_part date_trunc daterange
  decimal decode default degrees dense_rank desc distinct div else encode end except exists exp
  explain extract filter first_value float float4 float8 floor for format format_type from gcd
  gen_random_uuid generate_series generate_subscripts greatest group grouping has_column_privilege
  has_database_privilege has_function_privilege has_schema_privilege has_sequence_privilege
  has_table_privilege hashtext having ilike in index initcap inner insert int int2 int4 int4range
  int8 int8range integer intersect interval into is isempty isfinite join json json_agg
  json_array_elements json_array_elements_text json_build_array json_build_object json_extract_path
  json_extract_path_text json_object json_object_agg json_object_keys json_populate_record
  json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof jsonb
  jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
  jsonb_build_object jsonb_delete_path jsonb_each jsonb_each_text jsonb_extract_path
  jsonb_extract_path_text jsonb_insert jsonb_object_agg jsonb_object_keys jsonb_path_exists
  jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_populate_record
  jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_to_record
  jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval key lag last_value
  lastval lateral lcm lead least left length like limit ln lower lower_inc lpad ltrim make_date
  make_interval make_time make_timestamp make_timestamptz materialized max md5 min mod nextval not
  now nth_value ntile nullif num_nonnulls num_nulls numeric numrange obj_description octet_length of
  offset on or order over overlaps overlay partition percent_rank percentile_cont percentile_disc
  pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_backend_pid pg_blocking_pids pg_column_size
  pg_conf_load_time pg_current_wal_lsn pg_current_xact_id pg_current_xact_id_if_assigned
  pg_database_size pg_encoding_to_char pg_function_is_visible pg_get_constraintdef pg_get_expr
  pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result
  pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_partkeydef pg_get_ruledef
  pg_get_serial_sequence pg_get_statisticsobjdef pg_get_triggerdef pg_get_userbyid pg_get_viewdef
  pg_has_role pg_index_column_has_property pg_indexam_has_property pg_indexes_size pg_is_in_recovery
  pg_is_other_temp_schema pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_notify
  pg_postmaster_start_time pg_relation_filenode pg_relation_is_publishable pg_relation_size
  pg_safe_snapshot_blocking_pids pg_sequence_parameters pg_size_pretty pg_sleep pg_snapshot_xmin
  pg_stat_get_numscans pg_table_is_visible pg_table_size pg_tablespace_location
  pg_total_relation_size pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
  pg_type_is_visible pg_typeof phraseto_tsquery plainto_tsquery position power primary quote_ident
  quote_literal quote_nullable radians random rank references regclass regexp_count regexp_like
  regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
  regexp_substr regtype repeat replace returning reverse right rollup round row row_number
  row_to_json rpad rtrim select session_user set set_bit setval setweight sha256 sha512
  shobj_description sign similar sin some split_part sqrt starts_with statement_timestamp stddev
  stddev_pop stddev_samp string_agg string_to_array string_to_table strpos substr substring sum
  table tablesample tan then time timestamp timestamptz timezone to to_char to_date to_hex to_json
  to_jsonb to_number to_regclass to_regnamespace to_regproc to_regprocedure to_regrole to_regtype
  to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim trim_array trunc
  ts_headline ts_rank ts_rank_cd tsrange tstzrange tsvector_to_array txid_current
  txid_current_if_assigned union unique unistr unnest update upper upper_inc using values var_pop
  var_samp varchar variance version websearch_to_tsquery when where width_bucket window with within`.split(
    /\s+/,
  ),
)

/** A table's columns stand in parentheses behind these; behind `on` those of an index. */
const tablePattern = /\b(?:into|table|references|only|with|recursive)\s+(?:if\s+not\s+exists\s+)?$/i
const indexPattern = /;\s*create\s+(?:unique\s+)?index\b[^;()]*\bon\s+(?:only\s+)?$/i
const beforeMax = 200

/** Something is called that is not known to leave nothing behind. Backwards from each parenthesis: few words have one. */
function callsUnknown(outline: string): boolean {
  for (let at = outline.indexOf('('); at !== -1; at = outline.indexOf('(', at + 1)) {
    const end = beforeSpace(outline, at)
    const start = nameStart(outline, end)
    if (start === end) continue
    const schemaStart = qualifierStart(outline, start)
    const schema = outline.slice(schemaStart, start)
    if (isHarmless(outline.slice(start, end), schema)) continue
    const from = Math.max(0, schemaStart - beforeMax)
    const before = (from === 0 ? ';' : '') + outline.slice(from, schemaStart)
    if (!tablePattern.test(before) && !indexPattern.test(before)) return true
  }
  return false
}

/** `schema` with its dot; empty: none. */
function isHarmless(quoted: string, schema: string): boolean {
  const name = lowerName(quoted)
  if (name === null || (!harmlessWords.has(name) && name !== 'set_config')) return false
  return schema === '' || lowerName(schema.replace(/\s*\.\s*$/, '')) === 'pg_catalog'
}

/** Where the schema of the name at `start` begins, and whatever stands before that with a dot. */
function qualifierStart(outline: string, start: number): number {
  let from = start
  for (;;) {
    const dot = beforeSpace(outline, from) - 1
    if (outline[dot] !== '.') return from
    const end = beforeSpace(outline, dot)
    const before = nameStart(outline, end)
    if (before === end) return from
    from = before
  }
}

/** As Postgres reads it; null: a quoted one that is not in lower case, and so none of Postgres' own. */
function lowerName(name: string): string | null {
  if (!name.startsWith('"')) return name.toLowerCase()
  return name === name.toLowerCase() ? name.slice(1, -1) : null
}

function beforeSpace(text: string, at: number): number {
  let before = at
  while (isSpace(text.charCodeAt(before - 1))) before--
  return before
}

/** Where the name that ends at `end` begins; `end` itself: there is none. */
function nameStart(text: string, end: number): number {
  let start = end
  if (text[end - 1] !== '"') {
    while (isNameCode(text.charCodeAt(start - 1))) start--
    return start
  }
  start = text.lastIndexOf('"', end - 2)
  // A quote in it is two.
  while (start > 0 && text[start - 1] === '"') start = text.lastIndexOf('"', start - 2)
  return Math.max(0, start)
}

const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13)
const isNameCode = (code: number): boolean =>
  (code >= 97 && code <= 122) || // a to z
  (code >= 65 && code <= 90) || // A to Z
  (code >= 48 && code <= 57) || // 0 to 9
  code === 95 || // _
  code === 36 || // $
  code >= 128

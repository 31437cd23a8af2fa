// SQL that names prepared statements, as the server is to read it: Postgres has one name space for
// those of SQL and those of the protocol, and our names of the latter are others on the server.
import type { Statement, StatementCatalog } from './statement-catalog.ts'
import type { StatementReference } from './statement-references.ts'
import { lookedAtBytesMax, type TextVerdict, unknownText, verdictOf } from './text-verdict.ts'

export interface NamedStatement {
  readonly name: string
  readonly statement: Statement
}

export interface Translation {
  /** One character for each byte. */
  readonly text: string
  /** What it may leave behind: its statements are judged apart. */
  readonly verdict: TextVerdict
  /** Statements that the server must have when it runs, each name once. */
  readonly used: readonly NamedStatement[]
  /** For each DEALLOCATE the client's name and what stands for it; null: not one of the protocol's. */
  readonly deallocated: readonly (NamedStatement | null)[]
  readonly shifts: readonly Shift[]
}

/** Behind `at` of the client's text, in characters, what is sent is so much longer. */
interface Shift {
  readonly at: number
  readonly by: number
  /** Of the name that is sent. */
  readonly bytes: number
}

/** Statements that one text may drop: each takes a stand-in on the server. */
const deallocatedMax = 100

/** null: there is nothing to translate. `statementOf`: what a name of the client's stands for. */
export function translate(
  text: string,
  references: readonly StatementReference[],
  statementOf: (name: string) => Statement | null,
  catalog: StatementCatalog,
): Translation | null {
  const used: NamedStatement[] = []
  const deallocated: (NamedStatement | null)[] = []
  const shifts: Shift[] = []
  const gone = new Set<string>()
  const named = new Set<string>()
  let [sent, judged, at, characters, isAllGone] = ['', '', 0, 0, false]
  for (const { verb, name, from, to } of references) {
    if (verb === 'all') isAllGone = true
    const known = isAllGone || gone.has(name) ? null : statementOf(name)
    const statement = known && stoodForBy(verb, name, known, deallocated.length, catalog)
    if (verb === 'deallocate') {
      gone.add(name)
      deallocated.push(statement && { name, statement })
    }
    if (statement === null) continue
    if (verb === 'prepare' || (verb === 'execute' && !named.has(name))) {
      used.push({ name, statement })
      named.add(name)
    }
    const between = text.slice(at, from)
    sent += between + statement.serverName
    judged += between + nothing
    const bytes = statement.serverName.length
    characters += charactersOf(text, at, from)
    const own = charactersOf(text, from, to)
    shifts.push({ at: characters, by: bytes - own, bytes })
    characters += own
    at = to
    // It fails, and nothing behind it is run.
    if (verb === 'prepare') break
  }
  if (shifts.length === 0) return null
  const rest = text.slice(at)
  const verdict = verdictOfLength(judged + rest)
  return { text: sent + rest, verdict, used, deallocated, shifts }
}

/**
 * What a name for `known` is on the server; null: the name itself. PREPARE finds its name taken also where the
 * server lacks the statement, and cannot be brought it: its table may be gone.
 */
function stoodForBy(
  verb: StatementReference['verb'],
  name: string,
  known: Statement,
  dropped: number,
  catalog: StatementCatalog,
): Statement | null {
  if (verb === 'prepare') return catalog.taken(name)
  if (verb === 'deallocate') return dropped < deallocatedMax ? catalog.standIn(dropped) : null
  // What names statements itself is not looked through: it stays unknown.
  return known.naming === null ? known : null
}

const verdictOfLength = (text: string): TextVerdict =>
  text.length > lookedAtBytesMax ? unknownText : verdictOf(text)

/** Calls nothing where a parenthesis follows. */
const nothing = 'as'

/** Characters of UTF-8; of other encodings nearly so. */
function charactersOf(text: string, from: number, end: number): number {
  let count = 0
  for (let at = from; at < end; at++) if ((text.charCodeAt(at) & 0xc0) !== 0x80) count++
  return count
}

/**
 * Where a position that the server tells of the translated text is in the client's; both from 1. One
 * inside of a name is no such position: it belongs to the text of the statement that was to be executed.
 */
export function clientPosition(position: number, shifts: readonly Shift[]): number {
  let shifted = 0
  for (const { at, by, bytes } of shifts) {
    const behindName = position - shifted - 1 - at
    if (behindName <= 0) break
    if (behindName < bytes) return position
    shifted += by
  }
  return position - shifted
}

// Which errors a client of a project that is changed may be told, and of what each is the consequence. What is
// not in here is wrong, and what is, is wrong where nothing of the kind was done at that time.
import type { Span } from './moving-ledger.ts'
import { type MovingProject, noLimit } from './moving-project.ts'

export interface ToldError {
  /** null: the connection ended without a word. */
  readonly fields: Readonly<Record<string, string>> | null
  readonly role: string
  /** Where it is logged in, '' where that has not been seen, and whether it has named it. */
  readonly database: string
  readonly hasNamedDatabase: boolean
  /** The server that it must have been at, as `place pid`; null: one or none. */
  readonly server: string | null
  /** When it logged in. */
  readonly seated: Span
  /** Since it was heard of last. */
  readonly since: Span
  /** From its question to the answer. */
  readonly during: Span
  /** Its own cancels. */
  readonly cancels: readonly Span[]
  readonly isLogin: boolean
}

type Rule = (told: ToldError, project: MovingProject) => boolean

interface Row {
  readonly severity: 'ERROR' | 'FATAL'
  readonly sqlState: string
  readonly text: RegExp
  readonly isExplained: Rule
}

const row = (
  severity: Row['severity'],
  sqlState: string,
  text: RegExp,
  isExplained: Rule,
): Row => ({ severity, sqlState, text, isExplained })

const isServerKilled: Rule = ({ since, role, server }, { ledger }) =>
  ledger.has('server killed', since, role, server)
const isMismatched: Rule = ({ during, role }, { ledger }) => ledger.has('mismatch', during, role)
const isRefusing: Rule = ({ during }, { place }) =>
  place.during(during).some(({ kind }) => kind === 'refuses')
/** Where passwords are asked for, a database that does not answer is told at once. */
const isNotAsked: Rule = ({ during, role }, { passwords, place, ledger }) =>
  passwords === 'asked for' &&
  (ledger.has('manager', during, role) ||
    place.during(during).some(({ kind }) => kind !== 'serves'))
const isDeleted: Rule = ({ since, role }, { ledger }) => ledger.has('deleted', since, role)
const isBanned: Rule = ({ since, role }, { ledger }) => ledger.has('banned', since, role)
const isTerminated: Rule = ({ since, role }, { ledger }) => ledger.has('terminated', since, role)
const isKilled: Rule = ({ since, role }, { ledger }) => ledger.has('killed', since, role)

const endings: readonly Row[] = [
  row('FATAL', '57P01', /^\(ETERMINATED\).*" was deleted$/, isDeleted),
  row('FATAL', '57P01', /^\(ETERMINATED\).*ended all connections of the project$/, isTerminated),
  row('FATAL', '57P01', /^\(ETERMINATED\).*an operator ended the connection$/, isKilled),
  row('FATAL', '28000', /^\(EBANNED\)/, isBanned),
  row(
    'FATAL',
    '57P01',
    /^\(ETERMINATED\).*the database of the project has changed$/,
    ({ hasNamedDatabase, database, seated, since }, project) => {
      const first = database === '' ? project.database.during(seated)[0] : database
      return !hasNamedDatabase && project.database.during(since).some((one) => one !== first)
    },
  ),
  row('FATAL', '57P01', /^terminating connection due to administrator command$/, isServerKilled),
  row('FATAL', '08006', /^\(ESERVERLOST\).*/, isServerKilled),
]

const refusals: readonly Row[] = [
  row('ERROR', '08004', /^\(EUPSTREAMAUTH\)/, isMismatched),
  row('ERROR', '08006', /^\(EUPSTREAM\)/, isRefusing),
  row('ERROR', '57014', /^canceling statement due to user request$/, ({ cancels, during }) =>
    cancels.some((one) => one.fromMs <= during.toMs && during.fromMs <= one.toMs),
  ),
]

const loginRefusals: readonly Row[] = [
  row('FATAL', '08004', /^\(EUPSTREAMAUTH\)/, isMismatched),
  row(
    'FATAL',
    '08006',
    /^\(EUPSTREAM\)/,
    (...about) => isRefusing(...about) || isNotAsked(...about),
  ),
  row('FATAL', '58000', /^\(EAUTHPROVIDER\)/, isNotAsked),
  row('FATAL', '28000', /^\(ENOTFOUND\)/, isDeleted),
  row('FATAL', '28P01', /^password authentication failed/, ({ during, role }, { ledger }) =>
    ledger.has('rotating', during, role),
  ),
  // Wrong passwords are counted for the whole project.
  row('FATAL', '28000', /^\(ECIRCUITBREAKER\)/, ({ during }, { ledger }) =>
    ledger.has('rotating', during, null),
  ),
  row('FATAL', '53300', /^\(EMAXCONN(TENANT)?\)/, ({ during }, { maxClients }) =>
    maxClients.during(during).some((limit) => limit < noLimit),
  ),
]

/** Throws where nothing that was done explains it. */
export function explain(told: ToldError, project: MovingProject): void {
  const { fields, isLogin } = told
  const rows = isLogin ? [...endings, ...loginRefusals] : [...endings, ...refusals]
  if (fields === null) {
    // It stands in the midst of a message then, or its answer has been overtaken.
    if (endings.some(({ isExplained }) => isExplained(told, project))) return
    throw new Error('the connection ended without a word, and nothing was done to it')
  }
  const found = rows.find(
    ({ severity, sqlState, text }) =>
      severity === fields.S && sqlState === fields.C && text.test(fields.M ?? ''),
  )
  const words = `${fields.S} ${fields.C} ${fields.M} ${fields.D ?? ''}`
  if (found === undefined) throw new Error(`no change explains: ${words}`)
  if (!found.isExplained(told, project)) throw new Error(`nothing was done that explains: ${words}`)
}

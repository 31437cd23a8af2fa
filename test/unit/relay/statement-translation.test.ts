import { expect, test } from 'vitest'
import { namingTextOf } from '../../../pooler/relay/naming-text.ts'
import { SchemaVersion } from '../../../pooler/relay/schema-version.ts'
import { type Statement, StatementCatalog } from '../../../pooler/relay/statement-catalog.ts'
import { StatementLedger } from '../../../pooler/relay/statement-ledger.ts'
import { referencesIn } from '../../../pooler/relay/statement-references.ts'
import type { StatementSupply } from '../../../pooler/relay/statement-supply.ts'
import { clientPosition, translate } from '../../../pooler/relay/statement-translation.ts'
import { StatementsInSql } from '../../../pooler/relay/statements-in-sql.ts'
import { plainEnvironment } from '../../../pooler/relay/text-environment.ts'
import { systemClock } from '../../../shared/clock.ts'

const catalog = new StatementCatalog(Buffer.alloc(32, 7), new SchemaVersion(), systemClock)
const environment = plainEnvironment('')
const settings = { environment, hasBackslashes: false, wanted: new Map() }
const contentOf = (text: string) => Buffer.from(`${text}\0\0\0`)
const one = catalog.take(environment, contentOf('select 1'))

test('a text with many names is looked through once', () => {
  const written = 'execute ä; '.repeat(1000)
  const bytes = Buffer.from(written).toString('latin1')
  let looks = 0
  const text = Object.assign(new String(bytes), {
    charCodeAt: (at: number) => {
      looks++
      return bytes.charCodeAt(at)
    },
  })
  const references = referencesIn(bytes, settings)
  const made = translate(text as unknown as string, references, () => one, catalog)
  expect(looks).toBeLessThanOrEqual(bytes.length)
  expect(made?.used).toEqual([{ name: references[0]?.name, statement: one }])
  const nameBytes = one.serverName.length
  for (const index of [0, 1, 999]) {
    // Of the space in front of each.
    const there = index * ('execute ; '.length + nameBytes) + 'execute '.length
    expect(clientPosition(there, made?.shifts ?? [])).toBe(
      index * 'execute ä; '.length + 'execute '.length,
    )
  }
})

test('a prepared text is translated anew only when its name stands for another', () => {
  const ledger = new StatementLedger(catalog, 10)
  let stoodFor: Statement | null = one
  Object.defineProperty(ledger, 'statementOf', { value: () => stoodFor })
  const inSql = new StatementsInSql(catalog, ledger, {} as StatementSupply)
  const naming = namingTextOf(contentOf('explain execute s'), environment, settings)
  if (naming === null) throw new Error('it names one')
  const first = inSql.variantOf(naming)
  expect(inSql.variantOf(naming)).toBe(first)
  expect(inSql.translationOf(naming)?.text).toBe(`explain execute ${one.serverName}`)
  stoodFor = catalog.take(environment, contentOf('select 2'))
  expect(inSql.variantOf(naming).parse.toString()).toContain(stoodFor.serverName)
  stoodFor = null
  expect(inSql.translationOf(naming)).toBe(null)
  stoodFor = one
  expect(inSql.variantOf(naming).serverName).toBe(first.serverName)
})

test('a text of several statements is none that can be prepared', () => {
  expect(namingTextOf(contentOf('execute a; execute b'), environment, settings)).toBe(null)
})

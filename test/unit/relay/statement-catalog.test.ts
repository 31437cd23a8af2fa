import { describe, expect, test } from 'vitest'
import { SchemaVersion } from '../../../pooler/relay/schema-version.ts'
import {
  asForeign,
  looksLikeOurs,
  StatementCatalog,
  serverNamePattern,
} from '../../../pooler/relay/statement-catalog.ts'
import { plainEnvironment as plain } from '../../../pooler/relay/text-environment.ts'
import { systemClock } from '../../../shared/clock.ts'
import * as raw from '../../support/raw-messages.ts'

const contentOf = (sql: string, types: number[] = []) => raw.parse('', sql, types).subarray(6)
const secret = Buffer.alloc(32, 7)

describe('statements by content', () => {
  test('equal ones are one, under one name that a server takes whole', () => {
    const catalog = new StatementCatalog(secret, new SchemaVersion(), systemClock)
    const one = catalog.take(plain('env'), contentOf('select 1'))
    expect(catalog.take(plain('env'), contentOf('select 1'))).toBe(one)
    expect(catalog.size).toBe(1)
    expect(looksLikeOurs(one.serverName)).toBe(true)
    expect(one.serverName.length).toBeLessThan(64)
    expect(one.parse).toEqual(raw.parse(one.serverName, 'select 1'))
  })

  test('another text, other types or other settings make another', () => {
    const catalog = new StatementCatalog(secret, new SchemaVersion(), systemClock)
    const names = [
      catalog.take(plain('env'), contentOf('select $1')),
      catalog.take(plain('env'), contentOf('select $2')),
      catalog.take(plain('env'), contentOf('select $1', [23])),
      catalog.take(plain('other'), contentOf('select $1')),
    ].map(({ serverName }) => serverName)
    expect(new Set(names).size).toBe(4)
  })

  test('behind a change of the schema it is another, and the one of before stays what it was', () => {
    const schema = new SchemaVersion()
    const catalog = new StatementCatalog(secret, schema, systemClock)
    const before = catalog.take(plain('env'), contentOf('select 1'))
    schema.onChanged()
    const behind = catalog.take(plain('env'), contentOf('select 1'))
    expect(behind.serverName).not.toBe(before.serverName)
    expect(catalog.take(plain('env'), contentOf('select 1'))).toBe(behind)
    catalog.give(before)
    expect(catalog.take(plain('env'), contentOf('select 1'))).toBe(behind)
    for (const _one of [1, 2, 3]) catalog.give(behind)
    expect(catalog.size).toBe(0)
  })

  test('a text that has the time in it is nobody else’s', () => {
    const catalog = new StatementCatalog(secret, new SchemaVersion(), systemClock)
    const texts = [
      "select 'now'::timestamptz",
      "select date ' Tomorrow'",
      'select timestamptz $$now$$',
      'select timestamptz $a$ 12:00today $a$',
      "select timestamptz '12:00 tomorrow'",
      "select E'\\tyesterday'::date",
      "select U&'now'::date",
    ]
    for (const text of texts) {
      const [one, other] = [contentOf(text), contentOf(text)].map((content) =>
        catalog.take(plain(''), content),
      )
      expect(one?.serverName).not.toBe(other?.serverName)
    }
  })

  test.each([
    "select * from jobs where state = 'open' and due < now() and kind = 'a'",
    'select today, "now" from days where what = \'nowhere\' and known = $1',
  ])('the time is in no literal of %s', (text) => {
    const catalog = new StatementCatalog(secret, new SchemaVersion(), systemClock)
    const one = catalog.take(plain(''), contentOf(text))
    expect(catalog.take(plain(''), contentOf(text))).toBe(one)
  })

  test('names cannot be told without the secret', () => {
    const other = new StatementCatalog(Buffer.alloc(32, 8), new SchemaVersion(), systemClock)
    const name = new StatementCatalog(secret, new SchemaVersion(), systemClock).take(
      plain(''),
      contentOf('select 1'),
    ).serverName
    expect(other.take(plain(''), contentOf('select 1')).serverName).not.toBe(name)
  })

  test('one that all have given back is forgotten', () => {
    const catalog = new StatementCatalog(secret, new SchemaVersion(), systemClock)
    const one = catalog.take(plain(''), contentOf('select 1'))
    catalog.take(plain(''), contentOf('select 1'))
    catalog.give(one)
    expect(catalog.size).toBe(1)
    catalog.give(one)
    expect(catalog.size).toBe(0)
    const long = catalog.takeNamed('lk_long')
    expect(long.parse.length).toBe(0)
    catalog.give(long)
    expect(catalog.size).toBe(0)
  })

  test('each scratch name is another', () => {
    const catalog = new StatementCatalog(secret, new SchemaVersion(), systemClock)
    const names = [catalog.scratchName(), catalog.scratchName()]
    expect(names[0]).not.toBe(names[1])
    expect(names.every(looksLikeOurs)).toBe(true)
  })

  test('a foreign name that looks like ours is none of ours, at any depth', () => {
    const ours = new StatementCatalog(secret, new SchemaVersion(), systemClock).take(
      plain(''),
      contentOf('select 1'),
    ).serverName
    expect(asForeign(ours)).not.toBe(ours)
    expect(looksLikeOurs(asForeign(ours))).toBe(true)
    expect(asForeign(asForeign(ours))).not.toBe(asForeign(ours))
    expect(`"${asForeign(ours)}"`.match(serverNamePattern)).toEqual([asForeign(ours)])
    for (const name of ['', 's', 'lk_1', `${ours}0`, ours.toUpperCase()]) {
      expect(looksLikeOurs(name)).toBe(false)
    }
  })
})

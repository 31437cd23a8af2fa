// Where a text of SQL names prepared statements: EXECUTE, DEALLOCATE and PREPARE as Postgres' grammar
// has them, at the beginning of a statement, behind EXPLAIN, and behind CREATE TABLE ... AS.
import { nameBytesMax } from '../config/limits.ts'
import { SqlScanner } from './sql-scanner.ts'
import type { TextSettings } from './text-environment.ts'

export interface StatementReference {
  /** `all`: DEALLOCATE ALL or DISCARD ALL, which name none. */
  readonly verb: 'execute' | 'deallocate' | 'prepare' | 'all'
  /** As Postgres reads it, one character for each byte. */
  readonly name: string
  /** Where it stands in the text. */
  readonly from: number
  readonly to: number
}

/** A text without one of these has no reference. */
const verbPattern = /\b(?:execute|deallocate|prepare|discard)\b/i

export const mayReferToStatements = (text: string): boolean => verbPattern.test(text)

/** In the order of the text, which is read under these settings; it has one character for each byte. */
export function referencesIn(
  text: string,
  { hasBackslashes, wanted }: Pick<TextSettings, 'hasBackslashes' | 'wanted'>,
): readonly StatementReference[] {
  if (!mayReferToStatements(text)) return []
  const found: StatementReference[] = []
  const scanner = new SqlScanner(text, hasBackslashes, wanted.get('client_encoding'))
  for (;;) {
    scanner.next()
    if (scanner.kind === 'word') readStatement(scanner, found)
    if (!skipStatement(scanner)) return found
  }
}

function readStatement(scanner: SqlScanner, found: StatementReference[]): void {
  switch (scanner.value.toLowerCase()) {
    case 'execute':
      scanner.next()
      add(scanner, 'execute', found)
      return
    case 'deallocate':
      readDeallocate(scanner, found)
      return
    case 'prepare':
      readPrepare(scanner, found)
      return
    case 'discard':
      scanner.next()
      if (scanner.is('all')) addAll(scanner, found)
      return
    case 'explain':
      readExplain(scanner, found)
      return
    case 'create':
      readCreate(scanner, found)
  }
}

/** DEALLOCATE [PREPARE] name or ALL; PREPARE may be a name as well. */
function readDeallocate(scanner: SqlScanner, found: StatementReference[]): void {
  scanner.next()
  if (scanner.is('prepare')) {
    const { from, to } = scanner
    scanner.next()
    if (scanner.kind === 'end' || scanner.kind === 'semicolon') {
      found.push({ verb: 'deallocate', name: 'prepare', from, to })
      return
    }
  }
  if (scanner.is('all')) addAll(scanner, found)
  else add(scanner, 'deallocate', found)
}

/** PREPARE name [(types)] AS ..., and not PREPARE TRANSACTION 'id'. */
function readPrepare(scanner: SqlScanner, found: StatementReference[]): void {
  scanner.next()
  const { kind } = scanner
  add(scanner, 'prepare', found)
  if (kind !== 'word' && kind !== 'quoted') return
  scanner.next()
  if (!scanner.is('as') && scanner.kind !== 'open') found.pop()
  // Its parenthesis counts for whoever skips the rest.
}

function readExplain(scanner: SqlScanner, found: StatementReference[]): void {
  scanner.next()
  if (scanner.kind === 'open') {
    skipParentheses(scanner)
    scanner.next()
  }
  while (scanner.is('analyze') || scanner.is('analyse') || scanner.is('verbose')) scanner.next()
  if (scanner.is('execute')) {
    scanner.next()
    add(scanner, 'execute', found)
  } else if (scanner.is('create')) readCreate(scanner, found)
}

/** CREATE TABLE ... AS EXECUTE name. A trigger's EXECUTE FUNCTION follows no AS. */
function readCreate(scanner: SqlScanner, found: StatementReference[]): void {
  for (;;) {
    scanner.next()
    if (scanner.kind === 'open') skipParentheses(scanner)
    if (scanner.kind === 'end' || scanner.kind === 'semicolon') return
    if (!scanner.is('as')) continue
    scanner.next()
    if (!scanner.is('execute')) return
    scanner.next()
    add(scanner, 'execute', found)
    return
  }
}

function addAll({ from, to }: SqlScanner, found: StatementReference[]): void {
  found.push({ verb: 'all', name: '', from, to })
}

function add(
  { kind, name, from, to }: SqlScanner,
  verb: StatementReference['verb'],
  found: StatementReference[],
): void {
  if (kind !== 'word' && kind !== 'quoted') return
  found.push({ verb, name: cutName(name), from, to })
}

/** Postgres cuts names in SQL at a whole character. */
function cutName(name: string): string {
  if (name.length <= nameBytesMax) return name
  let end = nameBytesMax
  while (end > 0 && ((name.charCodeAt(end) as number) & 0xc0) === 0x80) end--
  return name.slice(0, end)
}

/** To the parenthesis that closes the one that was just read. */
function skipParentheses(scanner: SqlScanner): void {
  for (let depth = 1; depth > 0 && scanner.kind !== 'end'; ) {
    scanner.next()
    if (scanner.kind === 'open') depth++
    else if (scanner.kind === 'close') depth--
  }
}

/** Behind the semicolon that ends the statement; false where none follows. */
function skipStatement(scanner: SqlScanner): boolean {
  while (scanner.kind !== 'end' && scanner.kind !== 'semicolon') scanner.next()
  return scanner.kind === 'semicolon'
}

import { expect, test } from 'vitest'
import { sessionTagOf } from '../../../pooler/relay/session-tags.ts'

const tagIn = (text: string) => {
  const bytes = Buffer.from(`..${text}\0C`)
  return sessionTagOf(bytes, 2, 2 + text.length + 1)
}

test.each([
  'SET',
  'RESET',
  'DISCARD ALL',
  'LISTEN',
  'PREPARE',
  'DECLARE CURSOR',
  'LOAD',
  'DO',
  'CALL',
  'UNLISTEN',
  'DEALLOCATE',
  'DEALLOCATE ALL',
  'CLOSE CURSOR',
])('%s tells of session state', (text) => {
  expect(tagIn(text)).toBe(text)
})

test.each([
  'SELECT 1',
  'SAVEPOINT',
  'SECURITY LABEL',
  'START TRANSACTION',
  'REVOKE',
  'RELEASE',
  'ROLLBACK',
  'DELETE 0',
  'COPY 5',
  'DISCARD TEMP',
  'LOCK TABLE',
  'PREPARE TRANSACTION',
  'INSERT 0 1',
  'SETTING',
  'set',
  'DROP',
  'CREATE',
  'ALTERATION',
  '',
])('%j tells of none', (text) => {
  expect(tagIn(text)).toBe(null)
})

test.each(['CREATE TABLE', 'ALTER TYPE', 'DROP FUNCTION', 'DROP TABLE', 'CREATE EVENT TRIGGER'])(
  '%s changes the schema',
  (text) => expect(tagIn(text)).toBe('schema change'),
)

test('only the bytes of the message are looked at', () => {
  const bytes = Buffer.from('SET\0')
  expect(sessionTagOf(bytes, 0, 3)).toBe(null)
  expect(sessionTagOf(Buffer.alloc(0), 0, 0)).toBe(null)
  expect(sessionTagOf(Buffer.from('RESET ALL'), 0, 6)).toBe('RESET')
})

import { expect, test } from 'vitest'
import { healthAnswer } from '../../../pooler/startup/health-answer.ts'

test('a probe is told 204 and the version, and no body', () => {
  const text = healthAnswer('1.2.3-rc.1+b').toString()
  expect(text).toMatch(/^HTTP\/1\.1 204 No Content\r\n/)
  expect(text).toContain('\r\nx-app-version: 1.2.3-rc.1+b\r\n')
  expect(text.endsWith('\r\n\r\n')).toBe(true)
})

test('a version cannot carry another header line', () => {
  expect(() => healthAnswer('1\r\nx: y')).toThrow('a version is safe')
})

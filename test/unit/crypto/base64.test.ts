import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { decodeBase64 } from '../../../shared/crypto/base64.ts'

it('takes what Node writes', () => {
  for (let bytes = 0; bytes < 70; bytes++) {
    const value = randomBytes(bytes)
    expect(decodeBase64(value.toString('base64'))).toEqual(value)
  }
})

it('takes no other spelling of the same bytes, and nothing that is none', () => {
  const wrong = [
    'QQ',
    'QQ=',
    'QQ===',
    'QR==',
    ' QQ==',
    'QQ==\n',
    'Q Q==',
    'QQ==QQ==',
    '=',
    '====',
    'Q===',
    '_-8=',
    '-_8=',
    'QUJD\0',
    'QUJDé',
    'QUJD,',
    'QUI=QUJD',
  ]
  for (const text of wrong) expect(decodeBase64(text)).toBeNull()
})

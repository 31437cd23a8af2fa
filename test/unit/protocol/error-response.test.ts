import { describe, expect, test } from 'vitest'
import { PoolerError } from '../../../shared/errors.ts'
import {
  encodeError,
  errorResponseOf,
  noticeResponse,
  PostgresError,
  parseErrorFields,
} from '../../../shared/protocol/error-response.ts'
import * as raw from '../../support/raw-messages.ts'
import { errorFields, MessageCutter } from '../../support/raw-replies.ts'

/** What the tests' own reader makes of one message that Latchkey wrote. */
function readBack(bytes: Buffer) {
  const cutter = new MessageCutter()
  cutter.push(bytes)
  const message = cutter.next()
  expect(cutter.restBytes).toBe(0)
  expect(message?.body.at(-1), 'the list of fields has its end').toBe(0)
  return { type: message?.type, fields: errorFields(message?.body ?? Buffer.alloc(0)) }
}

const bodyOf = (message: Buffer): Buffer => message.subarray(5)

describe('error response', () => {
  test('an error of ours carries code, SQLSTATE, text, detail and hint', () => {
    const error = new PoolerError('ECHECKOUTTIMEOUT', {
      values: { ms: 5, size: 2, waiters: 3 },
      detail: 'connect ECONNREFUSED',
    })
    const { type, fields } = readBack(errorResponseOf(error))
    expect(type).toBe('E')
    expect(fields).toMatchObject({ S: 'ERROR', V: 'ERROR', C: '53300', D: 'connect ECONNREFUSED' })
    expect(fields.M).toMatch(/^\(ECHECKOUTTIMEOUT\) /)
    expect(readBack(errorResponseOf(error, 'FATAL')).fields).toMatchObject({
      S: 'FATAL',
      V: 'FATAL',
    })
  })

  test('a text with zero bytes cannot end a field early', () => {
    const message = encodeError({
      severity: 'ERROR',
      sqlState: 'XX000',
      message: 'a\0M42P01\0b',
      detail: null,
      hint: null,
    })
    expect(readBack(message).fields).toEqual({
      S: 'ERROR',
      V: 'ERROR',
      C: 'XX000',
      M: 'aM42P01b',
    })
  })

  test('a notice is a notice', () => {
    const { type, fields } = readBack(noticeResponse('until noon', 'ask again'))
    expect(type).toBe('N')
    expect(fields).toMatchObject({ S: 'NOTICE', C: '00000', M: 'until noon', H: 'ask again' })
  })

  test('what Postgres said is kept byte for byte, unknown fields included', () => {
    const message = raw.errorResponse({
      S: 'FEHLER',
      V: 'ERROR',
      C: '22012',
      M: 'x',
      W: 'y',
      R: 'z',
    })
    const error = new PostgresError(bodyOf(message))
    expect(error.raw).toEqual(message)
    expect(error.fields).toMatchObject({ severity: 'ERROR', sqlState: '22012', message: 'x' })
  })

  test('the kept bytes do not change with the buffer that they were read from', () => {
    const message = raw.postgresError('ERROR', '22012', 'division by zero')
    const buffer = Buffer.from(message)
    const error = new PostgresError(bodyOf(buffer))
    buffer.fill(0)
    expect(error.raw).toEqual(message)
  })

  test('severity comes from S where an old server sends no V', () => {
    expect(parseErrorFields(bodyOf(raw.errorResponse({ S: 'FATAL', C: '57P01' })))).toMatchObject({
      severity: 'FATAL',
      sqlState: '57P01',
      message: '',
    })
  })

  test('every cut of a body reads to an end and invents nothing, and missing fields have a value', () => {
    const body = bodyOf(
      raw.errorResponse({ S: 'ERROR', V: 'ERROR', C: '22012', M: 'text', D: 'd' }),
    )
    for (let bytes = 0; bytes <= body.length; bytes += 1) {
      const fields = parseErrorFields(body.subarray(0, bytes))
      expect('ERROR'.startsWith(fields.severity), `${bytes} bytes`).toBe(true)
      expect(['XX000', '', '2', '22', '220', '2201', '22012']).toContain(fields.sqlState)
    }
    expect(parseErrorFields(Buffer.alloc(0))).toEqual({
      severity: 'ERROR',
      sqlState: 'XX000',
      message: '',
      detail: null,
      hint: null,
      routine: null,
      where: null,
    })
  })

  test('the first of two equal fields counts, so that a later one cannot overrule it', () => {
    const body = Buffer.concat([raw.cstring('C42501'), raw.cstring('C00000'), Buffer.of(0)])
    expect(parseErrorFields(body).sqlState).toBe('42501')
  })
})

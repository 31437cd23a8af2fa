import { describe, expect, test } from 'vitest'
import { columnsOf, withTypes } from '../../../pooler/relay/statement-shape.ts'
import * as raw from '../../support/raw-messages.ts'

interface Column {
  readonly name: string
  readonly table?: number
  readonly type?: number
  readonly modifier?: number
  readonly format?: number
}

function bodyOf(...columns: Column[]): Buffer {
  const each = columns.map(({ name, table = 0, type = 23, modifier = -1, format = 0 }) => [
    raw.cstring(name),
    raw.int32(table),
    raw.int16(1),
    raw.int32(type),
    raw.int16(4),
    raw.int32(modifier),
    raw.int16(format),
  ])
  return Buffer.concat([raw.int16(columns.length), ...each.flat()])
}

const shapeOf = (...columns: Column[]): string | null => {
  const body = bodyOf(...columns)
  const among = Buffer.concat([Buffer.from('before'), body, Buffer.from('behind')])
  return columnsOf(among, 6, 6 + body.length)
}

describe('columns', () => {
  const one = { name: 'a' }

  test('are alike by names, types and modifiers, wherever they are from', () => {
    expect(shapeOf(one)).toBe(shapeOf({ name: 'a', table: 7, format: 1 }))
    const others = [[], [one, one], [{ name: 'b' }], [{ name: 'a', type: 20 }]]
    for (const other of [...others, [{ name: 'a', modifier: 8 }]]) {
      expect(shapeOf(...other)).not.toBe(shapeOf(one))
    }
  })

  test('of a body that ends too soon are not known', () => {
    const body = bodyOf(one)
    for (let end = 3; end < body.length; end++) expect(columnsOf(body, 0, end)).toBe(null)
  })

  test('of NoData are none, which is known', () => {
    expect(columnsOf(Buffer.alloc(0), 0, 0)).toBe(shapeOf())
  })
})

test('a Parse with the types that were told is what a client would have sent that knows them', () => {
  const body = raw.parameterDescription([23, 1184]).subarray(5)
  const sent = raw.parse('lk_name', 'insert into t values ($1, $2)', [0, 1184])
  expect(withTypes('lk_name', sent, body)).toEqual(
    raw.parse('lk_name', 'insert into t values ($1, $2)', [23, 1184]),
  )
})

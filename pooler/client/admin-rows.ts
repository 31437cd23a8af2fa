// The console's tables in the protocol's words, in text or binary format.
import { dataRow, rowDescription } from '../../shared/protocol/backend-messages.ts'
import type { AdminAnswer, Cell, CellType, Column } from '../admin/admin-answer.ts'

/** From pg_type.dat. */
const types: Readonly<Record<CellType, { readonly oid: number; readonly typeBytes: number }>> = {
  text: { oid: 25, typeBytes: -1 },
  int4: { oid: 23, typeBytes: 4 },
  int8: { oid: 20, typeBytes: 8 },
}

const isBinary = (formats: readonly number[], index: number): boolean =>
  (formats.length === 1 ? formats[0] : formats[index]) === 1

export function describeColumns(columns: readonly Column[], formats: readonly number[]): Buffer {
  return rowDescription(
    columns.map(({ name, type }, index) => ({
      name,
      ...types[type],
      isBinary: isBinary(formats, index),
    })),
  )
}

export function rowsOf(
  { rows }: AdminAnswer,
  columns: readonly Column[],
  formats: readonly number[],
): Buffer[] {
  return rows.map((row) =>
    dataRow(
      columns.map(({ type }, index) => {
        const cell = row[index] ?? null
        return isBinary(formats, index) ? binaryOf(cell, type) : textOf(cell)
      }),
    ),
  )
}

const textOf = (cell: Cell): Buffer | null => (cell === null ? null : Buffer.from(String(cell)))

function binaryOf(cell: Cell, type: CellType): Buffer | null {
  if (cell === null || type === 'text') return textOf(cell)
  const bytes = Buffer.alloc(types[type].typeBytes)
  if (type === 'int4') bytes.writeInt32BE(Number(cell))
  else bytes.writeBigInt64BE(BigInt(Math.round(Number(cell))))
  return bytes
}

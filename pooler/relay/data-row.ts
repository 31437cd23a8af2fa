/** DataRow in text format, read defensively: what does not fit its lengths reads as null. */
export function readDataRow(bytes: Buffer, at: number, end: number): (string | null)[] {
  const values: (string | null)[] = []
  if (end - at < 2) return values
  const columns = bytes.readUInt16BE(at)
  let position = at + 2
  for (let column = 0; column < columns && position + 4 <= end; column++) {
    const length = bytes.readInt32BE(position)
    position += 4
    if (length < 0 || position + length > end) {
      values.push(null)
    } else {
      values.push(bytes.toString('utf8', position, position + length))
      position += length
    }
  }
  return values
}

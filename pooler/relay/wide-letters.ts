// Encodings that clients may have, and databases may not: the further bytes of a letter may be those of an
// ASCII sign, such as a backslash. Postgres reads a text when it has converted it, and meets none there.

/** Of the letter that begins with a byte beyond ASCII. */
type Bytes = (first: number, second: number) => number

const two: Bytes = () => 2
/** Half-width letters are one byte. */
const ofShiftJis: Bytes = (first) => (first >= 0xa1 && first <= 0xdf ? 1 : 2)
const ofGb18030: Bytes = (_first, second) => (second >= 0x30 && second <= 0x39 ? 4 : 2)

/** By the name that Postgres reports. */
const encodings: ReadonlyMap<string, Bytes> = new Map([
  ['BIG5', two],
  ['GBK', two],
  ['UHC', two],
  ['GB18030', ofGb18030],
  ['SJIS', ofShiftJis],
  ['SHIFT_JIS_2004', ofShiftJis],
])

/** As long as `text`, with no byte of a letter that could be taken for a sign; both one character for each byte. */
export function withoutSigns(text: string, encoding: string | undefined): string {
  const bytesOf = encodings.get(encoding ?? '')
  if (bytesOf === undefined) return text
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number
    const end = first < 0x80 ? at + 1 : at + bytesOf(first, bytes[at + 1] ?? 0)
    for (at++; at < end && at < bytes.length; at++) bytes[at] = (bytes[at] as number) | 0x80
  }
  return bytes.toString('latin1')
}

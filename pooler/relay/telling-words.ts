// Whether a text of SQL can matter to what follows a client: a call, or one of a few words. Asked of the
// bytes of each query, so it makes no string: the pattern decides only where a word begins like one of them.

/** Without any of these, or a parenthesis, a text sets nothing, holds nothing and names no statement. */
const words = [
  'set',
  'reset',
  'temp',
  'temporary',
  'hold',
  'listen',
  'prepare',
  'execute',
  'deallocate',
  'discard',
  'pg_temp',
  'u&"',
]

/** A temporary schema has its backend's number behind `pg_temp_` as well. */
const pattern = new RegExp(
  String.raw`[(]|\bu&"|\bdo\b(?=[^])|\b(?:${words.join('|')})(?:\b|_)`,
  'i',
)

/** False: nothing that is looked for in texts can be found in it. */
export const mayMatter = (text: string): boolean => pattern.test(text)

const between = 0
const inWord = 1
const telling = 2
const parenthesis = 3

/** What a byte is, of a text read as latin1; `telling`: a word of ours begins with it. */
const kinds = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++)
  if (/\w/.test(String.fromCharCode(byte))) kinds[byte] = inWord
kinds[0x28] = parenthesis

/** The first three letters of a word, in one number. */
export const beginning = (first: number, second: number, third: number): number =>
  ((first | 0x20) << 16) | ((second | 0x20) << 8) | (third | 0x20)

/** Of words of three letters or more. */
export const beginningsOf = (all: readonly string[]): Set<number> =>
  new Set(
    all.map((word) => {
      const [first = 0, second = 0, third = 0] = Buffer.from(word)
      return beginning(first, second, third)
    }),
  )

const beginnings = beginningsOf(words)
for (const word of words) {
  const first = word.charCodeAt(0)
  kinds[first] = telling
  kinds[first - 0x20] = telling
}

// DO, which is two letters and what ends it.
for (let code = 0; code < 256; code++) {
  if (kinds[code] === between) beginnings.add(beginning(0x64, 0x6f, code))
}

/** As `mayMatter` of the latin1 text there, but that it may err to the careful side. */
export function mayMatterIn(bytes: Buffer, from: number, end: number): boolean {
  let isInWord = false
  for (let at = from; at < end; at++) {
    const kind = kinds[bytes[at] as number] as number
    if (kind === between) isInWord = false
    else if (kind === parenthesis) return true
    else if (!isInWord) {
      if (kind === telling && at + 2 < end) {
        const third = bytes[at + 2] as number
        if (beginnings.has(beginning(bytes[at] as number, bytes[at + 1] as number, third)))
          return true
      }
      isInWord = true
    }
  }
  return false
}

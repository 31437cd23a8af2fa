import { bench, describe } from 'vitest'
import { Framer, needMore } from '../../shared/protocol/framer.ts'

/** A server's answer to one row, again and again, as far as 64 KB go. */
const answer = Buffer.concat([
  message(0x54, 33),
  message(0x44, 15),
  message(0x43, 9),
  message(0x5a, 1),
])
const chunk = Buffer.concat(
  Array.from({ length: Math.floor(65_536 / answer.length) }, () => answer),
)

function message(type: number, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(5 + bodyBytes)
  bytes[0] = type
  bytes.writeInt32BE(4 + bodyBytes, 1)
  return bytes
}

describe(`the framer over ${chunk.length} bytes, four messages in ${answer.length}`, () => {
  const framer = new Framer()
  bench('headers alone', () => {
    let at = framer.skipBody(chunk, 0)
    for (;;) {
      at = framer.nextHeader(chunk, at)
      if (at === needMore) break
      at = framer.skipBody(chunk, at)
      if (at === chunk.length) break
    }
  })
})

import { describe, expect, it } from 'vitest'
import { saslprep } from '../../../shared/crypto/saslprep.ts'

// What Postgres itself derives from such passwords is compared in integration/scram-oracle.test.ts.
describe('saslprep', () => {
  const cases: [string, string, string][] = [
    ['ASCII stays, control characters too', 'p ass\x01\x7f', 'p ass\x01\x7f'],
    ['the empty text stays', '', ''],
    ['a soft hyphen vanishes (RFC 4013 section 3)', 'I\u00adX', 'IX'],
    ['compatibility forms are folded (RFC 4013 section 3)', '\u00aa\u2168', 'aIX'],
    ['letters are composed', 'a\u0308', '\u00e4'],
    ['case is kept', '\u00c4', '\u00c4'],
    ['a no-break space becomes a space', 'a\u00a0b', 'a b'],
    ['U+200B, in both tables, becomes a space', 'a\u200bb', 'a b'],
    ['right-to-left text may stand alone', '\u0627\u0628', '\u0627\u0628'],
    ['right-to-left text may hold digits inside', '\u06271\u0628', '\u06271\u0628'],
    ['beyond the basic plane', '\u{1d400}', 'A'],
  ]
  for (const [claim, text, prepared] of cases) {
    it(claim, () => expect(saslprep(text)).toBe(prepared))
  }

  const keptWhole: [string, string][] = [
    ['a control character beside a letter that would be composed', 'a\u0308\x07'],
    ['a right-to-left letter beside a left-to-right one', '\u0627a\u00ad'],
    ['right-to-left text that does not end so', '\u06271'],
    ['right-to-left text that does not start so', '1\u0627'],
    ['a code point not assigned in Unicode 3.2', '\u0221\u00ad'],
    ['an emoji of later years', '\u{1f511}\u00ad'],
    ['private use', '\ue000\u00ad'],
    ['a replacement character', '\ufffd\u00ad'],
    ['nothing but what is mapped to nothing', '\u00ad\ufe00'],
  ]
  for (const [claim, text] of keptWhole) {
    it(`keeps the text as given: ${claim}`, () => expect(saslprep(text)).toBe(text))
  }

  it('prepares a text as long as a password message may be', () => {
    expect(saslprep('a\u0308'.repeat(100_000))).toBe('\u00e4'.repeat(100_000))
  })
})

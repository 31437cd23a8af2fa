// The release rule as a table of conversations. `>` is what a client sent, `<` what the server has
// answered; ReadyForQuery has its status behind it (`ZI`, `ZT`, `ZE`).
import { describe, expect, test } from 'vitest'
import { owedHighWater } from '../../../pooler/relay/reply-entries.ts'
import { ReplyTracker } from '../../../pooler/relay/reply-tracker.ts'

function reply(tracker: ReplyTracker, letters: string): boolean {
  for (const [text] of letters.matchAll(/Z[ITE?]|./g)) {
    if (!tracker.received(text.charCodeAt(0))) return false
    if (text.length === 2 && !tracker.ready(text.charCodeAt(1))) return false
  }
  return true
}

/** Plays `>QS <TDCZI ...`; fails where the tracker does not accept a message. */
function play(script: string, tracker = new ReplyTracker()): ReplyTracker {
  for (const [, direction, letters = ''] of script.matchAll(/([<>])(\S+)/g)) {
    if (direction === '<') {
      expect(reply(tracker, letters), `<${letters} in ${script}`).toBe(true)
    } else {
      for (const letter of letters) expect(tracker.sent(letter.charCodeAt(0)), letter).toBe(true)
    }
  }
  return tracker
}

const isBreach = (script: string, last: string): boolean => !reply(play(script), last)

describe('a server may leave its client', () => {
  test.each([
    ['when nothing was ever sent', ''],
    ['after a query', '>Q <TDDCZI'],
    ['after several statements in one query', '>Q <TDCCTDCZI'],
    ['after an empty query', '>Q <IZI'],
    ['after a query that failed', '>Q <TDEZI'],
    ['after a function call', '>F <VZI'],
    ['after a function call that failed', '>F <EZI'],
    ['after an extended batch', '>PBDES <12TDCZI'],
    ['after a describe of a statement', '>PDS <1tTZI'],
    ['after a describe without rows', '>PDS <1tnZI'],
    ['after a close', '>CS <3ZI'],
    ['after an empty statement', '>PBES <12IZI'],
    ['after a suspended portal and its Sync', '>PBEES <12DsDsZI'],
    ['after a Sync alone', '>S <ZI'],
    ['after the last of several Syncs', '>PBESPBESS <12CZI12CZIZI'],
    ['after the second of two queries sent at once', '>QQ <CZICZI'],
    ['after a batch whose replies were flushed before its Sync', '>PBDEH <12TDC >S <ZI'],
    ['after a transaction over several messages', '>Q <CZT >PBES <12CZT >Q <CZI'],
    ['after copy-out', '>Q <HddcCZI'],
    ['after copy-in', '>Q <G >ddc <CZI'],
    ['after copy-in that the client failed', '>Q <G >df <EZI'],
    ['after two copies in one query', '>Q <G >dc <CG >dc <CZI'],
    ['after copy-in by Execute', '>PBE <12G >ddcS <CZI'],
    ['after notices, reports and notifications of all sorts', '<NSA >Q <NTSDNCAZIS <N'],
    ['after a query in the middle of a batch, at the Sync', '>PBEQS <12CTDCZIZI'],
  ])('%s', (_when, script) => {
    expect(play(script).isReleasable).toBe(true)
    expect(play(script).owed).toBe(0)
    expect(play(script).readyOwed).toBe(0)
  })
})

describe('a server stays with its client', () => {
  test.each([
    ['while a query is unanswered', '>Q'],
    ['at CommandComplete, before ReadyForQuery', '>Q <TDC'],
    ['at an error, before ReadyForQuery', '>Q <E'],
    ['in a transaction', '>Q <CZT'],
    ['in a failed transaction', '>Q <EZE'],
    ['after the first of two queries', '>QQ <CZI'],
    ['after the first of two Syncs', '>PBESS <12CZI'],
    ['in a batch without its Sync, whatever has been answered', '>PBEH <12C'],
    ['in a batch behind an idle ReadyForQuery', '>SPBEH <ZI12C'],
    ['in a batch in which a query was answered as idle', '>PBEQ <12CCZI'],
    ['in a batch that was only a Parse', '>PH <1'],
    ['after an error in a batch, up to the Sync', '>PBE <E'],
    ['after an error in a batch, while its Sync is unanswered', '>PBES <1E'],
    ['in copy-in', '>Q <G'],
    ['in copy-in whose end has been sent', '>Q <G >dc'],
    ['in copy-in by Execute behind an early Sync', '>PBES <12G >dc'],
    ['after copy-in by Execute without a Sync', '>PBE <12G >dc <C'],
    ['after copy-in by Execute behind an early Sync that was ignored', '>PBES <12G >dc <C'],
    ['after a query with a copy in the middle of a batch', '>PHQ <1G >dc <CZI'],
    ['after such a query whose Sync was ignored in the copy', '>PHQS <1G >dc <CZI'],
    ['while replies to messages of ours are due', ''],
  ])('%s', (when, script) => {
    const tracker = play(script)
    if (when === 'while replies to messages of ours are due') tracker.sentOwnQuery()
    expect(tracker.isReleasable).toBe(false)
  })
})

describe('an error', () => {
  test('of an extended message lapses what was sent up to the next Sync, and no further', () => {
    const tracker = play('>PBESPBES <1E')
    expect(tracker.readyOwed).toBe(2)
    expect(tracker.owed).toBe(5)
    expect(play('>PBESPBES <1EZI12CZI').isReleasable).toBe(true)
  })

  test('lapses queries and function calls behind an extended error as well', () => {
    const tracker = play('>PQFBQS <E')
    expect(tracker.owed).toBe(1)
    expect(tracker.readyOwed).toBe(1)
    play('<ZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })

  test('lapses what is sent after it up to the Sync', () => {
    const tracker = play('>P <E >BEQFcd')
    expect(tracker.owed).toBe(0)
    expect(tracker.isReleasable).toBe(false)
    play('>S', tracker)
    expect(tracker.owed).toBe(1)
    play('<ZI', tracker)
    expect(tracker.isReleasable).toBe(true)
    play('>Q <CZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })

  test('of a query lapses nothing, also in the middle of a batch', () => {
    expect(play('>QQ <EZICZI').isReleasable).toBe(true)
    const tracker = play('>PQBES <1EZI')
    expect(tracker.owed).toBe(3)
    play('<2CZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })

  test('of a Sync itself, as of a constraint checked at commit, is one message and no skipping', () => {
    expect(play('>PBES <12CE').owed).toBe(1)
    expect(play('>PBESQ <12CEZICZI').isReleasable).toBe(true)
  })

  test('of each of several batches is its own', () => {
    expect(play('>PBESPBESPBES <EZI12EZI1EZI').isReleasable).toBe(true)
  })
})

describe('copy-in', () => {
  test('ignores a Sync that came with its Execute, and counts the one behind its end', () => {
    const tracker = play('>PBES <12G >ddcS')
    expect(tracker.readyOwed).toBe(1)
    play('<CZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })

  test('ignores Syncs and Flushes in between', () => {
    expect(play('>PBE <12G >dSdHSdcS <CZI').isReleasable).toBe(true)
    expect(play('>Q <G >dSHdc <CZI').isReleasable).toBe(true)
  })

  test('its end may have been sent before anybody knew that it is a copy', () => {
    expect(play('>Qddc <GCZI').isReleasable).toBe(true)
    expect(play('>PBESddcS <12GCZI').isReleasable).toBe(true)
    expect(play('>QdcdcQ <GCGCZICZI').isReleasable).toBe(true)
    expect(play('>Qdf <GEZI').isReleasable).toBe(true)
  })

  test('a late end, behind an error of the copy, is owed nothing', () => {
    expect(play('>Q <GEZI >ddc').isReleasable).toBe(true)
    expect(play('>Q <G >d <EZI >cQ <CZI').isReleasable).toBe(true)
    expect(play('>Qdc <EZI').isReleasable).toBe(true)
    expect(play('>QdcQ <EZICZI').isReleasable).toBe(true)
    expect(play('>PBESdcS <1EZIZI').isReleasable).toBe(true)
  })

  test('an end of a copy outside of one is ignored, also between other messages', () => {
    expect(play('>cf').isReleasable).toBe(true)
    expect(play('>QcQfS <CZICZIZI').isReleasable).toBe(true)
    expect(play('>PcBfEScS <12CZIZI').isReleasable).toBe(true)
  })

  test('is over where anything else is sent: the end that follows belongs to a later copy', () => {
    expect(play('>Q <G >dQdcS <EZIGCZIZI').isReleasable).toBe(true)
    expect(play('>Q <G >dQdcS <EZIGCZI').isReleasable).toBe(false)
    expect(play('>QdQdcS <GEZIGCZIZI').isReleasable).toBe(true)
    expect(play('>QdQdcS <GEZIGCZI').isReleasable).toBe(false)
  })

  test('by Execute ends at the Sync behind an error when none came during it', () => {
    expect(play('>PBE <12G >d <E >dcS <ZI').isReleasable).toBe(true)
  })

  test('that fails when Syncs came during it leaves in doubt who is owed what, for good', () => {
    const tracker = play('>PBES <12G >dSd <EZI')
    expect(tracker.doubt.isAny).toBe(true)
    expect(tracker.isReleasable).toBe(false)
    // Whatever the server really owed passes, and the count does not grow.
    play('<ZI >PBES <12CZI >Q <TDCZI', tracker)
    expect(tracker.isReleasable).toBe(false)
    expect(tracker.isSettled).toBe(false)
    expect(tracker.owed).toBe(0)
  })

  test('messages behind a copy keep their order', () => {
    const tracker = play('>PBESdcPBDES <12GC')
    expect(tracker.readyOwed).toBe(1)
    play('<12TDCZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })
})

describe('a server has nothing to say until its client goes on', () => {
  test.each([
    ['in copy-in', '>Q <G >d'],
    ['in copy-in by Execute', '>PBES <12G'],
    ['in a batch whose replies have all come', '>PBEH <12C'],
    ['behind an error in a batch without its Sync', '>PBE <1E'],
    ['in doubt, when all that is known of has come', '>PBES <12G >dS <E >S <ZIZI'],
  ])('%s', (_when, script) => {
    expect(play(script).needsClient).toBe(true)
    expect(play(script).isReleasable).toBe(false)
  })

  test.each([
    ['at rest', ''],
    ['in a transaction', '>Q <CZT'],
    ['with a query unanswered', '>Q'],
    ['in a batch with replies due', '>PBEH <12'],
    ['when the end of the copy data is unanswered', '>Q <G >dc'],
    ['when the copy has ended', '>Q <G >dc <CZI'],
  ])('but not %s', (_when, script) => {
    expect(play(script).needsClient).toBe(false)
  })
})

describe('messages of ours', () => {
  test('their replies are told from those of the client', () => {
    const tracker = new ReplyTracker()
    tracker.sentOwnQuery()
    tracker.sentOwnBatch(2)
    play('>PBES', tracker)
    for (const letters of ['C', 'ZI', '12DC', '12DC', 'S', 'ZI']) {
      expect(tracker.isOwnReply, letters).toBe(true)
      play(`<${letters}`, tracker)
    }
    expect(tracker.isOwnReply).toBe(false)
    play('<12CZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })

  test('are no transactions and no queries of the client', () => {
    const tracker = new ReplyTracker()
    tracker.sentOwnQuery()
    tracker.sentOwnBatch(1)
    play('<CZI12DCZI', tracker)
    expect(tracker.transactions).toBe(0)
    expect(tracker.queries).toBe(0)
    play('>Q <CZI >PBES <12CZI', tracker)
    expect(tracker.transactions).toBe(2)
    expect(tracker.queries).toBe(2)
  })

  test('an error of ours lapses to our own Sync and takes nothing of the client along', () => {
    const tracker = new ReplyTracker()
    tracker.sentOwnBatch(3)
    play('>QPBES', tracker)
    expect(tracker.isOwnReply).toBe(true)
    play('<12E', tracker)
    expect(tracker.isOwnReply).toBe(true)
    play('<ZI', tracker)
    expect(tracker.isOwnReply).toBe(false)
    play('<CZI12CZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })

  test('a bare Sync of ours is a batch of none', () => {
    const tracker = new ReplyTracker()
    tracker.sentOwnBatch(0)
    expect(tracker.isReleasable).toBe(false)
    play('<ZI', tracker)
    expect(tracker.isReleasable).toBe(true)
  })
})

describe('a server breaks the protocol', () => {
  test.each([
    ['with a reply that nothing asked for', '', 'C'],
    ['with ReadyForQuery out of the blue', '', 'ZI'],
    ['with a second ReadyForQuery', '>Q <CZI', 'ZI'],
    ['with a row out of the blue', '', 'D'],
    ['with a row behind its query', '>Q <TDCZI', 'D'],
    ['with copy data out of the blue', '', 'd'],
    ['with copy-in out of the blue', '', 'G'],
    ['with copy-out out of the blue', '', 'H'],
    ['with copy-in for a Parse', '>PBES', 'G'],
    ['with a function result for a query', '>Q', 'V'],
    ['with BindComplete for a Parse', '>PBES', '2'],
    ['with ParseComplete for a query', '>Q', '1'],
    ['with CommandComplete for a Bind', '>PBES <1', 'C'],
    ['with a row for a Bind', '>PBES <1', 'D'],
    ['with ReadyForQuery before a batch is answered', '>PBES <12', 'ZI'],
    ['with PortalSuspended for a query', '>Q', 's'],
    ['with a status that there is not', '>Q <C', 'Z?'],
    ['with a type that there is not', '>Q', 'y'],
    ['with an authentication request', '>Q', 'R'],
  ])('%s', (_how, script, last) => {
    expect(isBreach(script, last)).toBe(true)
  })
})

test.each(['p', 'R', 'Z', '\0', '1'])('no client may send %j after login', (letter) => {
  expect(new ReplyTracker().sent(letter.charCodeAt(0))).toBe(false)
})

test('the count is exact over as many messages as the relay ever lets through', () => {
  const tracker = new ReplyTracker()
  let sent = 0
  let answered = 0
  while (sent < owedHighWater + 13_000) {
    play('>PBES', tracker)
    sent += 4
    if (sent % 3 === 0) {
      play('<12CZI', tracker)
      answered += 4
    }
    expect(tracker.owed).toBe(sent - answered)
  }
  while (tracker.owed > 0) play('<12CZI', tracker)
  expect(tracker.isReleasable).toBe(true)
  expect(tracker.readyOwed).toBe(0)
})

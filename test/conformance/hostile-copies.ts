// What no driver says to Postgres in a COPY and around it, but a tester or an attacker may.
import * as raw from '../support/raw-messages.ts'
import { batch, query, type Turn, table, turn } from './turns.ts'

const copyIn = [raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute()] as const

/** Scripts of COPY with messages too early, too late, and of no copy at all. */
export const oddCopies: Record<string, readonly Turn[]> = {
  'data, its end and Sync in one batch with Execute': [
    table,
    turn(1, ...copyIn, raw.copyData('a\t1\n'), raw.copyDone(), raw.sync()),
    turn(1, ...copyIn, raw.sync(), raw.copyData('b\t2\n'), raw.sync(), raw.copyDone(), raw.sync()),
    turn(2, ...copyIn, raw.copyFail('no'), raw.sync(), raw.query('rollback')),
  ],
  'a batch goes on behind it': [
    table,
    turn(
      1,
      batch('select 1'),
      ...copyIn,
      raw.copyData('a\t1\n'),
      raw.copyDone(),
      batch('select count(*) from kit'),
      raw.sync(),
    ),
    turn(
      2,
      ...copyIn,
      raw.copyData('a\tb\n'),
      raw.copyDone(),
      batch('select count(*) from kit'),
      raw.sync(),
      raw.query('rollback'),
    ),
  ],
  'what cannot be copied, with its data behind it': [
    turn(
      2,
      raw.query('copy none_such from stdin'),
      raw.copyData('a\n'),
      raw.copyDone(),
      raw.query('select 1'),
    ),
    turn(
      2,
      raw.parse('', 'copy none_such from stdin'),
      raw.bind(),
      raw.execute(),
      raw.sync(),
      raw.copyData('a\n'),
      raw.copyDone(),
      raw.sync(),
    ),
    turn(
      1,
      raw.parse('', 'copy none_such from stdin'),
      raw.bind(),
      raw.execute(),
      raw.copyData('a\n'),
      raw.copyFail('x'),
      raw.sync(),
    ),
  ],
  'two in one Query, the first failed by the client': [
    table,
    turn('G', raw.query('copy kit from stdin; copy kit from stdin; select 1')),
    turn(1, raw.copyFail('first')),
    turn(1, raw.copyData('late\n'), raw.copyDone(), raw.query('rollback')),
  ],
  'in and out among other statements': [
    table,
    turn(
      1,
      raw.query(
        'select 1; copy kit from stdin; copy kit to stdout; select 2; copy kit from stdin; select count(*) from kit',
      ),
      raw.copyData('a\t1\n'),
      raw.copyDone(),
      raw.copyData('b\t2\n'),
      raw.copyDone(),
    ),
    query('rollback'),
  ],
  'an empty one, and one of empty messages': [
    table,
    turn(1, raw.query('copy kit from stdin'), raw.copyDone()),
    turn(
      1,
      raw.query('copy kit from stdin'),
      raw.copyData(''),
      raw.copyData(''),
      raw.copyData('a\t1'),
      raw.copyData('\n'),
      raw.copyDone(),
    ),
    query('select tag || n from kit; rollback'),
  ],
  'the end twice': [
    table,
    turn(
      2,
      raw.query('copy kit from stdin'),
      raw.copyDone(),
      raw.copyDone(),
      raw.query('rollback'),
    ),
    turn(
      2,
      raw.query('begin; create temp table kit2 (n int); copy kit2 from stdin'),
      raw.copyFail('a'),
      raw.copyFail('b'),
      raw.copyDone(),
      raw.query('rollback'),
    ),
  ],
  'copy messages while nothing is copied, in a batch and in a transaction': [
    turn(2, raw.copyDone(), raw.sync(), raw.copyData('x'), raw.sync()),
    query('begin'),
    turn(1, raw.copyData('x'), raw.copyDone(), raw.query('select 1')),
    turn(
      1,
      raw.parse('', 'select 1'),
      raw.copyFail('y'),
      raw.bind(),
      raw.copyData('z'),
      raw.execute(),
      raw.copyDone(),
      raw.sync(),
    ),
    turn(2, raw.query('select 1/0'), raw.copyDone(), raw.query('rollback')),
  ],
  'a CopyFail without an end': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn(1, raw.message('f', Buffer.from('open'))),
    query('rollback'),
  ],
  'with a null byte in it': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn(1, raw.copyData(Buffer.of(0x61, 0, 9, 0x31, 10)), raw.copyDone()),
    query('rollback'),
  ],
}

const inCopy = (...messages: Buffer[]): readonly Turn[] => [
  table,
  turn('G', raw.query('copy kit from stdin')),
  turn('end', ...messages),
]

/** Scripts of COPY that end the connection. */
export const brokenCopies: Record<string, readonly Turn[]> = {
  'a Parse in the middle of COPY': inCopy(raw.parse('', 'select 1')),
  'a Bind in the middle of COPY': inCopy(raw.copyData('a\t1\n'), raw.bind()),
  'an Execute in the middle of COPY': inCopy(raw.execute()),
  'a Close in the middle of COPY': inCopy(raw.closeMessage('portal')),
  'a function call in the middle of COPY': inCopy(raw.functionCall(1397, ['1'])),
  'a Describe in the middle of COPY': inCopy(raw.describeMessage('portal'), raw.sync()),
}

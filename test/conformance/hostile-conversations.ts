// What no driver says to Postgres, but a tester or an attacker may: messages in odd places, cut short
// or too long, and names at the edge of what is kept of one.
import * as raw from '../support/raw-messages.ts'
import { batch, query, type Turn, turn } from './turns.ts'

/** `int4abs` by its number in pg_proc. */
const abs = (...values: string[]): Buffer => raw.functionCall(1397, values)
const long = (bytes: number, last = ''): string => 'n'.repeat(bytes - last.length) + last

/** Scripts of function calls, which are as old as the protocol and stand anywhere in it. */
export const functionCalls: Record<string, readonly Turn[]> = {
  'in a transaction, and in one that has failed': [
    query('begin'),
    turn(2, abs('-5'), abs('-6')),
    turn(2, abs('x'), abs('-7')),
    query('rollback'),
    turn(1, abs('-8')),
  ],
  'in a batch without its Sync': [
    turn(2, batch('select 1'), abs('-5'), batch('select 2'), raw.sync()),
    turn(2, abs('-5'), batch('select 3'), raw.sync()),
    turn(3, batch('select 4'), abs('x'), raw.sync(), batch('select 5'), raw.sync()),
  ],
  'among queries and batches': [
    turn(
      7,
      raw.query('begin'),
      abs('-1'),
      batch('select 1'),
      raw.sync(),
      abs('x'),
      raw.query('select 2'),
      raw.query('rollback'),
      abs('-2'),
    ),
  ],
  'behind an error, in front of two Syncs': [
    turn(2, batch('select 1/0'), abs('-5'), raw.sync(), abs('-6')),
  ],
  'cut short, and with too much': [
    turn(1, raw.message('F', raw.int32(1397))),
    turn(1, raw.message('F', raw.int32(1397), raw.int16(0), raw.int16(-1))),
    turn(1, raw.message('F', raw.int32(1397), raw.int16(0), raw.int16(1), raw.int32(-2))),
    turn(1, raw.message('F')),
    turn(2, raw.message('F', abs('1').subarray(5), raw.int32(0)), raw.query('select 1')),
  ],
}

const runUnnamed = [raw.bind(), raw.execute(), raw.sync()]
const noText = Buffer.concat([Buffer.from("select '"), Buffer.of(0xff, 0)])

/** Postgres fails at reading these, each with its Sync: what they would do first is not done. */
const unreadMessages = [
  raw.message('Q'),
  raw.message('Q', Buffer.from('select 1')),
  raw.message('Q', raw.cstring('select 1'), raw.cstring('select 2')),
  raw.message('Q', noText),
  Buffer.concat([raw.message('P', raw.cstring('')), raw.sync()]),
  Buffer.concat([raw.message('P', raw.cstring(''), raw.cstring('select 1')), raw.sync()]),
  Buffer.concat([raw.message('P', raw.cstring(''), noText, raw.int16(0)), raw.sync()]),
  Buffer.concat([raw.message('C', raw.cstring('S'), raw.cstring('')), raw.sync()]),
]

/** Scripts of messages whose bodies are not what their type promises. */
export const malformed: Record<string, readonly Turn[]> = {
  'a Query without an end, and with two': [
    turn(1, raw.message('Q')),
    turn(1, raw.message('Q', Buffer.from('select 1'))),
    turn(1, raw.message('Q', raw.cstring('select 1'), raw.cstring('select 2'))),
    turn(2, raw.message('Q', Buffer.from('select')), raw.query('select 3')),
  ],
  'a Query in no encoding': [
    query(Buffer.concat([Buffer.from("select '"), Buffer.of(0xff, 0xfe), Buffer.from("'")])),
    query(Buffer.concat([Buffer.from('select 1 '), Buffer.of(0xc3)])),
    query('select 1'),
  ],
  'the unnamed statement behind messages that are not read': unreadMessages.flatMap((unread) => [
    turn(1, raw.parse('', 'select 5'), raw.sync()),
    turn(1, unread),
    turn(1, ...runUnnamed),
    turn(2, unread, ...runUnnamed),
    turn(1, raw.query('select 1/0')),
    turn(2, unread, ...runUnnamed),
    turn(3, raw.parse('', 'select 6'), raw.sync(), unread, ...runUnnamed),
    turn(3, raw.query("do $$begin raise sqlstate '08P01'; end$$"), unread, ...runUnnamed),
  ]),
  'a Query without an end that names a statement': [
    turn(1, raw.parse('st', 'select 7'), raw.sync()),
    turn(1, raw.message('Q', Buffer.from('execute stx'))),
    turn(1, raw.message('Q', Buffer.from('deallocate stx'))),
    turn(1, raw.bind({ statement: 'st' }), raw.execute(), raw.sync()),
    turn(1, raw.closeMessage('statement', 'st'), raw.sync()),
  ],
  'a Close with two names': [
    turn(1, raw.parse('st', 'select 1'), raw.sync()),
    turn(1, raw.message('C', Buffer.from('S'), raw.cstring('st'), raw.cstring('st')), raw.sync()),
    turn(1, raw.message('C', Buffer.from('S'), raw.cstring('none'), Buffer.of(1)), raw.sync()),
    turn(1, raw.bind({ statement: 'st' }), raw.execute(), raw.sync()),
    turn(1, raw.closeMessage('statement', 'st'), raw.sync()),
  ],
  'a Parse that is cut short': [
    turn(1, raw.message('P'), raw.sync()),
    turn(1, raw.message('P', Buffer.from('name')), raw.sync()),
    turn(1, raw.message('P', raw.cstring('name')), raw.sync()),
    turn(1, raw.message('P', raw.cstring('name'), Buffer.from('select 1')), raw.sync()),
    turn(1, raw.message('P', raw.cstring('name'), raw.cstring('select 1')), raw.sync()),
    turn(
      1,
      raw.message('P', raw.cstring('name'), raw.cstring('select 1'), raw.int16(3), raw.int32(23)),
      raw.sync(),
    ),
    turn(1, raw.bind({ statement: 'name' }), raw.execute(), raw.sync()),
  ],
  'a Parse with too much, and with a negative count': [
    turn(1, raw.message('P', raw.parse('a', 'select 1').subarray(5), Buffer.of(1)), raw.sync()),
    turn(1, raw.message('P', raw.cstring('b'), raw.cstring('select 1'), raw.int16(-1)), raw.sync()),
    turn(1, raw.bind({ statement: 'a' }), raw.execute(), raw.sync()),
    turn(1, raw.bind({ statement: 'b' }), raw.execute(), raw.sync()),
  ],
  'a Parse in no encoding': [
    turn(
      1,
      raw.message(
        'P',
        raw.cstring('c'),
        raw.cstring(Buffer.concat([Buffer.from('select 1 '), Buffer.of(0xff)])),
        raw.int16(0),
      ),
      raw.bind({ statement: 'c' }),
      raw.sync(),
    ),
    turn(1, raw.parse('c', 'select 2'), raw.bind({ statement: 'c' }), raw.execute(), raw.sync()),
    turn(1, raw.closeMessage('statement', 'c'), raw.sync()),
  ],
  'a Bind whose counts and lengths lie': [
    turn(1, raw.parse('', 'select $1::text, $2::text'), raw.sync()),
    turn(1, raw.message('B'), raw.sync()),
    turn(1, raw.message('B', raw.cstring('')), raw.sync()),
    turn(1, raw.message('B', raw.cstring(''), Buffer.from('open')), raw.sync()),
    turn(1, raw.message('B', raw.cstring(''), raw.cstring('')), raw.sync()),
    turn(1, raw.bind({ values: ['a', 'b'], formats: [0, 0, 0] }), raw.execute(), raw.sync()),
    turn(1, raw.bind({ values: ['a', 'b'], formats: [7] }), raw.execute(), raw.sync()),
    turn(1, raw.bind({ values: ['a'] }), raw.execute(), raw.sync()),
    turn(
      1,
      raw.message(
        'B',
        raw.cstring(''),
        raw.cstring(''),
        raw.int16(0),
        raw.int16(2),
        raw.int32(-2),
        raw.int32(900),
      ),
      raw.execute(),
      raw.sync(),
    ),
    turn(
      1,
      raw.message('B', raw.cstring(''), raw.cstring(''), raw.int16(0), raw.int16(-1)),
      raw.sync(),
    ),
    turn(
      1,
      raw.message('B', raw.bind({ values: ['a', 'b'] }).subarray(5), Buffer.of(0)),
      raw.sync(),
    ),
    turn(1, raw.bind({ values: ['a', 'b'] }), raw.execute(), raw.sync()),
  ],
  'Describe, Close and Execute of no kind': [
    turn(1, raw.message('D'), raw.sync()),
    turn(1, raw.message('D', Buffer.from('X'), raw.cstring('')), raw.sync()),
    turn(1, raw.message('D', Buffer.from('S')), raw.sync()),
    turn(1, raw.message('D', Buffer.from('Sopen')), raw.sync()),
    turn(1, raw.message('C'), raw.sync()),
    turn(1, raw.message('C', Buffer.from('X'), raw.cstring('')), raw.sync()),
    turn(1, raw.message('C', Buffer.from('P')), raw.sync()),
    turn(1, raw.message('C', Buffer.from('S'), raw.cstring('a'), raw.cstring('b')), raw.sync()),
    turn(1, raw.message('E'), raw.sync()),
    turn(1, raw.message('E', raw.cstring('')), raw.sync()),
    turn(1, raw.message('E', raw.cstring(''), raw.int32(0), raw.int32(0)), raw.sync()),
    turn(1, batch('select 1'), raw.sync()),
  ],
  'Execute with a negative limit': [
    turn(1, batch('select n from generate_series(1, 3) n', [], -1), raw.sync()),
    turn(1, batch('select n from generate_series(1, 3) n', [], 0x7fffffff), raw.sync()),
  ],
  'a broken message in the middle of several batches': [
    turn(
      3,
      batch('select 1'),
      raw.sync(),
      raw.message('P', Buffer.from('open')),
      batch('select 2'),
      raw.query('select 3'),
      raw.sync(),
      batch('select 4'),
      raw.sync(),
    ),
  ],
}

/** Scripts of empty and interrupted batches. */
export const oddBatches: Record<string, readonly Turn[]> = {
  'Syncs behind an error': [
    turn(4, raw.parse('', 'selec'), raw.sync(), raw.sync(), raw.sync(), raw.query('select 1')),
  ],
  'Syncs and Flushes in a transaction, open and failed': [
    query('begin'),
    turn(3, raw.sync(), raw.flush(), raw.sync(), raw.flush(), raw.flush(), raw.sync()),
    turn(3, raw.query('select 1/0'), raw.sync(), raw.flush(), raw.sync()),
    query('rollback'),
    turn(2, raw.flush(), raw.sync(), raw.flush(), raw.sync(), raw.flush()),
  ],
  'a portal over Syncs, and over an error': [
    query('begin'),
    turn(
      1,
      raw.parse('s', 'select n from generate_series(1, 9) n'),
      raw.bind({ statement: 's', portal: 'p' }),
      raw.execute('p', 2),
      raw.sync(),
    ),
    turn(2, raw.execute('p', 2), raw.sync(), raw.execute('p', 2), raw.sync()),
    turn(2, raw.describeMessage('portal', 'p'), raw.sync(), raw.execute('none'), raw.sync()),
    turn(1, raw.execute('p', 2), raw.sync()),
    query('rollback'),
    turn(1, raw.execute('p', 2), raw.sync()),
    turn(1, raw.closeMessage('statement', 's'), raw.closeMessage('statement', 's'), raw.sync()),
  ],
  'a statement closed under its portal': [
    query('begin'),
    turn(
      1,
      raw.parse('s', 'select n from generate_series(1, 9) n'),
      raw.bind({ statement: 's', portal: 's' }),
      raw.closeMessage('statement', 's'),
      raw.execute('s', 2),
      raw.sync(),
    ),
    turn(1, raw.execute('s', 2), raw.closeMessage('portal', 's'), raw.execute('s', 2), raw.sync()),
    query('rollback'),
    turn(1, raw.describeMessage('statement', 's'), raw.sync()),
  ],
  'a portal bound twice': [
    query('begin'),
    turn(
      2,
      raw.parse('', 'select 1'),
      raw.bind({ portal: 'p' }),
      raw.bind({ portal: 'p' }),
      raw.sync(),
      raw.query('rollback'),
    ),
    turn(1, raw.parse('', 'select 2'), raw.bind(), raw.bind(), raw.execute(), raw.sync()),
  ],
  'unknown things in the middle of a pipeline': [
    turn(
      5,
      batch('select 1'),
      raw.sync(),
      raw.describeMessage('statement', 'none'),
      batch('select 2'),
      raw.sync(),
      raw.closeMessage('statement', 'none'),
      raw.closeMessage('portal', 'none'),
      batch('select 3'),
      raw.sync(),
      raw.execute('none'),
      batch('select 4'),
      raw.sync(),
      raw.bind({ statement: 'none' }),
      raw.sync(),
    ),
  ],
  'a failed Parse of a name, and the name again': [
    turn(
      3,
      raw.parse('f', 'selec'),
      raw.bind({ statement: 'f' }),
      raw.execute(),
      raw.sync(),
      raw.bind({ statement: 'f' }),
      raw.sync(),
      raw.parse('f', 'select 1'),
      raw.bind({ statement: 'f' }),
      raw.execute(),
      raw.closeMessage('statement', 'f'),
      raw.sync(),
    ),
  ],
  'transactions that begin and end inside of one batch': [
    turn(1, batch('begin'), batch('select 1'), batch('commit'), batch('select 2'), raw.sync()),
    turn(
      2,
      batch('begin'),
      batch('select 1/0'),
      batch('commit'),
      raw.sync(),
      batch('rollback'),
      raw.sync(),
    ),
  ],
}

/** Scripts of names at and over the 63 bytes that Postgres keeps. */
export const longNames: Record<string, readonly Turn[]> = Object.fromEntries(
  [62, 63, 64, 65, 200, 2000].map((bytes) => [
    `of ${bytes} bytes`,
    [
      query('begin'),
      turn(
        1,
        raw.parse(long(bytes), 'select n from generate_series(1, 5) n'),
        raw.bind({ statement: long(bytes), portal: long(bytes, 'p') }),
        raw.describeMessage('portal', long(bytes, 'p')),
        raw.execute(long(bytes, 'p'), 2),
        raw.sync(),
      ),
      turn(1, raw.execute(long(bytes, 'p'), 1), raw.sync()),
      turn(1, raw.describeMessage('statement', long(bytes)), raw.sync()),
      query(`fetch 1 from ${long(bytes, 'p')}`),
      turn(1, raw.closeMessage('portal', long(bytes, 'p')), raw.sync()),
      turn(1, raw.execute(long(bytes, 'p'), 1), raw.sync()),
      query('rollback'),
      query(`deallocate ${long(Math.min(bytes, 63))}`),
      turn(1, raw.describeMessage('statement', long(bytes)), raw.sync()),
      query(`set application_name to '${long(bytes)}'; show application_name`),
      query('reset application_name'),
      query(`set kit.${long(bytes)} to 'x'; show kit.${long(bytes)}`),
      query(`set role ${long(bytes)}`),
      query(`listen ${long(bytes)}; notify ${long(bytes)}; unlisten ${long(bytes)}`),
      query(`select pg_notify('${long(bytes)}', '')`),
      query(
        `begin; declare ${long(bytes)} cursor for select 1; fetch 1 from ${long(bytes)}; rollback`,
      ),
      query('discard all'),
    ],
  ]),
)

/** Scripts that end the connection, or behind which Postgres itself has lost its way (XX000). */
export const oddEnds: Record<string, readonly Turn[]> = {
  'a Query in a batch without its Sync': [
    turn(2, batch('select 1'), raw.query('select 2'), raw.sync()),
  ],
  'a Query that fails in a batch without its Sync': [
    turn(2, batch('select 1'), raw.query('select 1/0'), raw.sync()),
  ],
  'a portal that a Query ends': [
    turn(
      2,
      raw.parse('', 'select n from generate_series(1, 5) n'),
      raw.bind({ portal: 'p' }),
      raw.execute('p', 2),
      raw.query('select 1'),
      raw.execute('p', 2),
      raw.sync(),
    ),
  ],
  'Terminate behind a failed batch': [
    turn('end', raw.parse('', 'selec'), raw.flush(), raw.terminate()),
  ],
  'Terminate with a body': [turn('end', raw.query('select 1'), raw.message('X', Buffer.alloc(50)))],
  'Terminate, and more behind it': [
    turn('end', raw.query('select 1'), raw.terminate(), raw.query('select 2')),
  ],
  'Terminate in a transaction': [
    query('begin'),
    turn('end', raw.query('select 1'), raw.query('select 1/0'), raw.terminate()),
  ],
}

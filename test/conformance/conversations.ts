// What clients say to Postgres, as scripts of turns: bytes, and up to where replies are waited for.
import * as raw from '../support/raw-messages.ts'
import * as hostile from './hostile-conversations.ts'
import { brokenCopies, oddCopies } from './hostile-copies.ts'
import { inTransactions } from './transaction-conversations.ts'
import { batch, binary, query, type Turn, turn } from './turns.ts'

const table = query('create temp table kit (tag text, n int); begin')
const rows = Array.from({ length: 300 }, (_, n) => raw.copyData(`row ${n}\t${n}\n`))

/** Scripts of simple queries. */
const simple: Record<string, readonly Turn[]> = {
  'one row': [query("select 1 as one, 'two' as two, null as three")],
  'no rows and many': [
    query('select 1 where false'),
    query('select n from generate_series(1, 2000) n'),
  ],
  'several statements': [query('select 1; select 2; select 3')],
  'an error in the middle of several': [query('select 1; select 1/0; select 3'), query('select 4')],
  'empty queries': [query(''), query('   '), query('-- nothing'), query(';;;'), query('/* */')],
  'a syntax error': [query('selec 1'), query('select 1')],
  'a transaction': [query('begin'), query('select 1'), query('commit')],
  'a failed transaction': [
    query('begin; select 1/0'),
    query('select 1'),
    query('commit'),
    query('select 1'),
  ],
  'savepoints and chains': [
    query('begin; savepoint a'),
    query('select 1/0'),
    query('rollback to a'),
    query('select 1'),
    query('commit and chain'),
    query('rollback and chain'),
    query('rollback'),
  ],
  'texts that lie about transactions': [
    query('/* begin */ select 1'),
    query("select 'begin'; -- commit"),
    query(';;begin'),
    query('do $$begin perform 1; end$$'),
    query('rollback'),
  ],
  'commit and rollback outside of a transaction': [
    query('commit'),
    query('rollback'),
    query('end'),
  ],
  'notices and warnings': [
    query("do $$begin raise notice 'one %', 1; raise warning 'two'; end$$"),
    query("do $$begin for n in 1..200 loop raise notice 'storm %', n; end loop; end$$"),
  ],
  'an error with all its fields': [
    query(
      "do $$begin raise exception 'text' using detail = 'd', hint = 'h', errcode = 'ABCDE', column = 'c', table = 't', schema = 's', datatype = 'y', constraint = 'k'; end$$",
    ),
  ],
  'large rows': [query("select repeat('x', 300000), repeat('y', 70000)"), query('select 1')],
  'a large query': [query(`select length('${'z'.repeat(200_000)}')`)],
  'two queries at once, one of which fails': [
    turn(2, raw.query('select 1/0'), raw.query('select 2')),
    turn(3, raw.query('select 3'), raw.query(''), raw.query('select 4')),
  ],
  'statements that may not run in a block': [
    query('vacuum'),
    query('begin; vacuum'),
    query('rollback'),
  ],
  'settings told in between': [
    query("set timezone to 'Asia/Tokyo'; set application_name to 'conformance'"),
    query("begin; set timezone to 'UTC'; rollback"),
    query('show timezone; reset timezone; reset application_name'),
  ],
  'a function call': [
    turn(1, raw.functionCall(1397, ['-5'])),
    turn(1, raw.functionCall(999_999, ['1'])),
    turn(2, raw.functionCall(1397, ['x']), raw.query('select 1')),
  ],
}

/** Scripts of the extended protocol. */
const extended: Record<string, readonly Turn[]> = {
  'a batch': [turn(1, batch('select $1::text, $2::int', ['a', null]), raw.sync())],
  'several batches in one go': [
    turn(
      3,
      batch('select 1'),
      raw.sync(),
      batch('select 2'),
      raw.sync(),
      batch('select 3'),
      raw.sync(),
    ),
  ],
  'several statements before one Sync': [
    turn(1, batch('select 1'), batch('select 2'), batch('select 3'), raw.sync()),
  ],
  'an error in the second of three batches': [
    turn(
      3,
      batch('select 1'),
      raw.sync(),
      batch('select 1/0'),
      raw.sync(),
      batch('select 3'),
      raw.sync(),
    ),
  ],
  'errors at Parse, Bind, Describe and Execute': [
    turn(1, raw.parse('', 'selec'), raw.bind(), raw.execute(), raw.sync()),
    turn(
      1,
      raw.parse('', 'select $1::int'),
      raw.bind({ values: ['x'] }),
      raw.execute(),
      raw.sync(),
    ),
    turn(1, raw.parse('', 'select 1'), raw.bind({ values: ['1'] }), raw.sync()),
    turn(1, raw.describeMessage('portal', 'none'), raw.sync()),
    turn(1, raw.describeMessage('statement', 'none'), raw.sync()),
    turn(1, raw.execute('none'), raw.sync()),
    turn(1, raw.bind({ statement: 'none' }), raw.execute(), raw.sync()),
    turn(1, raw.parse('', 'select 1; select 2'), raw.sync()),
  ],
  'a query behind an error is skipped to the Sync': [
    turn(
      1,
      raw.parse('', 'selec'),
      raw.query('select 1'),
      raw.functionCall(1397, ['1']),
      raw.sync(),
    ),
    query('select 2'),
  ],
  'Syncs alone': [turn(1, raw.sync()), turn(3, raw.sync(), raw.sync(), raw.sync())],
  'Flush in front of Sync': [
    turn('T', raw.parse('', 'select 1'), raw.describeMessage('statement'), raw.flush()),
    turn('2', raw.bind(), raw.flush()),
    turn('C', raw.execute(), raw.flush()),
    turn(1, raw.sync()),
  ],
  'Flush alone, and behind an error': [
    turn('E', raw.flush(), raw.flush(), raw.parse('', 'selec'), raw.flush()),
    turn(1, raw.bind(), raw.flush(), raw.sync()),
  ],
  'portals with row limits': [
    turn(
      1,
      raw.parse('', 'select n from generate_series(1, 5) n'),
      raw.bind({ portal: 'p' }),
      raw.execute('p', 2),
      raw.execute('p', 2),
      raw.execute('p', 2),
      raw.execute('p', 2),
      raw.sync(),
    ),
    turn(1, raw.execute('p'), raw.sync()),
  ],
  'portals over Syncs in a transaction': [
    query('begin'),
    turn(1, batch('select n from generate_series(1, 5) n', [], 2), raw.sync()),
    turn(1, raw.execute('', 2), raw.sync()),
    turn(1, raw.closeMessage('portal'), raw.sync()),
    turn(1, raw.execute('', 2), raw.sync()),
    query('rollback'),
  ],
  'a batch that is kept waiting behind a DISCARD ALL which failed': [
    turn(1, raw.parse('kept', 'select 1'), raw.sync()),
    query('begin'),
    query('discard all'),
    turn(
      2,
      raw.query('select 2'),
      raw.closeMessage('statement', ''),
      batch("select date '1.2.2026'"),
      raw.sync(),
    ),
    query('rollback'),
    turn(1, raw.bind({ statement: 'kept' }), raw.execute(), raw.sync()),
    query('discard all'),
  ],
  'a name freed in a batch by what was bound in front of a Flush': [
    turn(
      '2',
      raw.parse('st', 'discard all'),
      raw.bind({ portal: 'po', statement: 'st' }),
      raw.flush(),
    ),
    turn('n', raw.describeMessage('portal', 'po'), raw.flush()),
    turn(
      1,
      raw.execute('po'),
      ...[raw.parse('st', 'select 1'), raw.bind({ statement: 'st' }), raw.execute(), raw.sync()],
    ),
    turn(1, raw.bind({ statement: 'st' }), raw.execute(), raw.sync()),
  ],
  'a query takes the unnamed statement along whose Close was skipped': [
    turn(1, raw.parse('', 'select 5'), raw.sync()),
    turn(
      3,
      ...[raw.bind({ statement: 'none' }), raw.closeMessage('statement', ''), raw.sync()],
      raw.query('select 6'),
      ...[raw.bind(), raw.execute(), raw.sync()],
    ),
    turn(1, raw.bind(), raw.execute(), raw.sync()),
  ],
  'closing what there is not': [
    turn(1, raw.closeMessage('statement', 'none'), raw.closeMessage('portal', 'none'), raw.sync()),
  ],
  'an empty statement': [
    turn(1, batch(''), raw.sync()),
    turn(1, raw.parse('', ''), raw.describeMessage('statement'), raw.sync()),
  ],
  'a statement without rows': [turn(1, batch('do $$begin end$$'), raw.sync())],
  'a transaction by batches': [
    turn(3, batch('begin'), raw.sync(), batch('select 1'), raw.sync(), batch('commit'), raw.sync()),
    turn(
      4,
      batch('begin'),
      raw.sync(),
      batch('select 1/0'),
      raw.sync(),
      batch('select 1'),
      raw.sync(),
      batch('rollback'),
      raw.sync(),
    ),
  ],
  'binary parameters and results': [
    turn(
      1,
      raw.parse('', 'select $1::bytea, $2::int4', [17, 23]),
      raw.bind({ values: [binary, raw.int32(7)], formats: [1, 1], resultFormats: [1, 1] }),
      raw.execute(),
      raw.sync(),
    ),
  ],
  'many parameters': [
    turn(
      1,
      batch(
        `select ${Array.from({ length: 500 }, (_, index) => `$${index + 1}::int`).join(' + ')}`,
        Array.from({ length: 500 }, (_, index) => String(index)),
      ),
      raw.sync(),
    ),
  ],
  'a deferred constraint that fails at Sync': [
    query('begin; create temp table d (n int unique deferrable initially deferred)'),
    query('insert into d values (1), (1)'),
    turn(1, batch('commit'), raw.sync()),
  ],
}

/** Scripts of COPY, in a transaction so that the temporary table stays. */
const copying: Record<string, readonly Turn[]> = {
  'in, and what came of it': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn(1, ...rows, raw.copyDone()),
    query('select count(*), sum(n) from kit; rollback'),
  ],
  'in, all at once': [
    table,
    turn(2, raw.query('copy kit from stdin'), ...rows, raw.copyDone(), raw.query('select 1')),
    query('select count(*) from kit; rollback'),
  ],
  'in, failed by the client': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn(1, raw.copyData('a\t1\n'), raw.copyFail('enough')),
    query('rollback'),
  ],
  'in, failed by the server, with more to come': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn(1, raw.copyData('a\tb\n')),
    turn(1, raw.copyData('late\n'), raw.copyDone(), raw.copyFail('late'), raw.query('rollback')),
  ],
  'in, with Sync and Flush in between': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn(
      1,
      raw.copyData('a\t1\n'),
      raw.sync(),
      raw.flush(),
      raw.copyData('b\t2\n'),
      raw.copyDone(),
    ),
    query('select count(*) from kit; rollback'),
  ],
  'in, by Execute with an early Sync': [
    table,
    turn('G', raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute(), raw.sync()),
    turn(1, ...rows, raw.copyDone(), raw.sync()),
    query('select count(*) from kit; rollback'),
  ],
  'in, by Execute, failed by the server': [
    table,
    turn('G', raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute()),
    turn(1, raw.copyData('a\tb\n'), raw.copyDone(), raw.sync()),
    query('rollback'),
  ],
  'in, among other statements': [
    table,
    turn(
      'G',
      raw.query('select 1; copy kit from stdin; select count(*) from kit; copy kit from stdin'),
    ),
    turn('G', raw.copyData('a\t1\n'), raw.copyDone()),
    turn(1, raw.copyData('b\t2\n'), raw.copyDone()),
    query('rollback'),
  ],
  out: [query('copy (select n, repeat($$x$$, 500) from generate_series(1, 400) n) to stdout')],
  'out, binary': [
    turn(
      1,
      raw.query(`copy (select '\\x${binary.toString('hex')}'::bytea) to stdout (format binary)`),
    ),
  ],
  'out, with an error behind some rows': [
    query('copy (select 10 / (5 - n) from generate_series(1, 9) n) to stdout'),
    query('select 1'),
  ],
  'out, by Execute': [turn(1, batch('copy (values (1), (2)) to stdout'), raw.sync())],
  'a named statement right behind a copy that fails between Syncs': [
    table,
    turn('G', raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute(), raw.sync()),
    turn(
      3,
      raw.copyData('a\t1\n'),
      raw.sync(),
      raw.copyData('a\tb\n'),
      raw.sync(),
      raw.closeMessage('statement', 'st'),
      ...[raw.parse('st', 'rollback'), raw.bind({ statement: 'st' }), raw.execute(), raw.sync()],
      ...[raw.parse('st2', 'select 2'), raw.bind({ statement: 'st2' }), raw.execute(), raw.sync()],
    ),
    turn(1, raw.bind({ statement: 'st2' }), raw.execute(), raw.sync()),
  ],
  'a named statement right behind a copy that fails behind its Syncs': [
    table,
    turn('G', raw.parse('', 'copy kit from stdin'), raw.bind(), raw.execute(), raw.sync()),
    turn(
      2,
      raw.copyData('a\t1\n'),
      raw.sync(),
      raw.copyData('a\tb\n'),
      ...[raw.parse('st', 'rollback'), raw.bind({ statement: 'st' }), raw.execute(), raw.sync()],
      ...[raw.parse('st', 'rollback'), raw.bind({ statement: 'st' }), raw.execute(), raw.sync()],
    ),
    turn(1, raw.parse('st', 'select 3'), raw.sync()),
    query('select 4'),
  ],
  'a query right behind a copy that fails between Syncs': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn(
      4,
      raw.copyData('a\t1\n'),
      raw.sync(),
      raw.copyData('a\tb\n'),
      raw.sync(),
      raw.sync(),
      raw.query('rollback'),
    ),
    query('select 4'),
  ],
  'copy messages outside of a copy': [
    turn(1, raw.copyData('x'), raw.copyDone(), raw.copyFail('y'), raw.query('select 1')),
    turn(1, batch('select 1'), raw.copyDone(), raw.sync()),
  ],
}

/** Scripts that end the connection. */
const ending: Record<string, readonly Turn[]> = {
  Terminate: [query('select 1'), turn('end', raw.terminate())],
  'a query in the middle of COPY': [
    table,
    turn('G', raw.query('copy kit from stdin')),
    turn('end', raw.query('select 1')),
  ],
  'its own backend terminated': [
    turn('end', raw.query('select pg_terminate_backend(pg_backend_pid())')),
  ],
}

export const conversations: Record<string, Record<string, readonly Turn[]>> = {
  'simple queries': simple,
  'extended queries': extended,
  COPY: copying,
  'in transactions': inTransactions,
  'function calls': hostile.functionCalls,
  'malformed messages': hostile.malformed,
  'odd batches': hostile.oddBatches,
  'long names': hostile.longNames,
  'odd copies': oddCopies,
  'the end': { ...ending, ...hostile.oddEnds, ...brokenCopies },
}

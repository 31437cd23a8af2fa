// What clients say to Postgres, as scripts of turns: bytes, and up to where replies are waited for.
import * as raw from '../support/raw-messages.ts'
import { copying } from './copy-conversations.ts'
import * as hostile from './hostile-conversations.ts'
import { brokenCopies, oddCopies } from './hostile-copies.ts'
import { inTransactions } from './transaction-conversations.ts'
import { batch, binary, query, type Turn, table, turn } from './turns.ts'

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
      raw.closeMessage('statement', 'st'),
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
  'SQL that names what a batch on its way fails to prepare': [
    turn(
      3,
      ...[raw.parse('st', 'nonsense'), raw.sync()],
      ...[raw.parse('', 'execute st'), raw.bind(), raw.execute(), raw.sync()],
      ...[raw.parse('ex', 'execute st'), raw.bind({ statement: 'ex' }), raw.sync()],
    ),
    turn(1, raw.closeMessage('statement', 'ex'), raw.sync()),
  ],
  'a literal in no encoding, which a text that was read has': [
    turn(1, raw.parse('', 'select 1'), raw.sync()),
    turn(1, raw.parse('', "select E'\\xff'"), raw.sync()),
    turn(1, raw.bind(), raw.execute(), raw.sync()),
    turn(1, raw.parse('', 'select 2'), raw.sync()),
    query("select E'\\xff'"),
    turn(1, raw.bind(), raw.execute(), raw.sync()),
  ],
  'a name taken, behind a batch that was skipped when it tried the same': [
    turn(1, raw.parse('st', 'select 1'), raw.sync()),
    turn(
      3,
      ...[raw.bind({ statement: 'none' }), raw.parse('st', 'select 2'), raw.sync()],
      ...[raw.parse('st', 'select 3'), raw.sync()],
      ...[raw.bind({ statement: 'st' }), raw.execute(), raw.sync()],
    ),
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

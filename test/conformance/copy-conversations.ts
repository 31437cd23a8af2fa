// What clients that copy say to Postgres.
import * as raw from '../support/raw-messages.ts'
import { batch, binary, query, type Turn, table, turn } from './turns.ts'

const rows = Array.from({ length: 300 }, (_, n) => raw.copyData(`row ${n}\t${n}\n`))

/** Scripts of COPY, in a transaction so that the temporary table stays. */
export const copying: Record<string, readonly Turn[]> = {
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

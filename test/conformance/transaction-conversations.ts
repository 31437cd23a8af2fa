// What clients say to Postgres about things that end with their transaction.
import * as raw from '../support/raw-messages.ts'
import { batch, binary, query, type Turn, turn } from './turns.ts'

/** `lo_create`, `lo_open`, `lowrite` and their like by their numbers in pg_proc, as libpq calls them. */
const largeObject = {
  create: 715,
  open: 952,
  write: 955,
  read: 954,
  seek: 956,
  close: 953,
  unlink: 964,
}
const number = 4711
const call = (name: keyof typeof largeObject, ...values: string[]): Buffer =>
  raw.functionCall(largeObject[name], values)

/** Scripts of cursors and large objects, which live as long as their transaction. */
export const inTransactions: Record<string, readonly Turn[]> = {
  'a cursor, fetched by statements and by portal': [
    query('begin; declare c scroll cursor for select n from generate_series(1, 20) n'),
    query('fetch 3 from c; fetch backward 1 from c'),
    turn(
      1,
      raw.describeMessage('portal', 'c'),
      raw.execute('c', 4),
      raw.execute('c', 4),
      raw.sync(),
    ),
    query('move absolute 10 in c; fetch relative 2 from c; fetch last from c; fetch next from c'),
    turn(1, raw.closeMessage('portal', 'c'), raw.sync()),
    query('fetch 1 from c'),
    query('rollback'),
  ],
  'a portal by name, and a cursor of the same one': [
    query('begin'),
    turn(
      1,
      raw.parse('', 'select n from generate_series(1, 9) n'),
      raw.bind({ portal: 'p' }),
      raw.execute('p', 2),
      raw.sync(),
    ),
    query('fetch 2 from p'),
    turn(1, raw.execute('p', 2), raw.sync()),
    query('declare p cursor for select 1'),
    query('rollback'),
  ],
  'a held cursor, closed again': [
    query('begin; declare h cursor with hold for select n from generate_series(1, 9) n; commit'),
    query('fetch 2 from h'),
    turn(1, batch('fetch 2 from h'), raw.sync()),
    query('close h; fetch 1 from h'),
  ],
  'a cursor over which its transaction fails': [
    query('begin; declare c cursor for select 10 / (3 - n) from generate_series(1, 9) n'),
    query('fetch 2 from c'),
    query('fetch 2 from c'),
    query('fetch 2 from c'),
    query('commit'),
  ],
  'a large object by function calls': [
    query('begin'),
    turn(1, call('create', String(number))),
    turn(1, call('open', String(number), String(0x60000))),
    turn(2, call('write', '0', binary.toString('hex')), call('seek', '0', '3', '0')),
    turn(1, call('read', '0', '40')),
    turn(2, call('close', '0'), call('close', '0')),
    query('rollback'),
    turn(1, call('unlink', String(number))),
  ],
  'a large object by statements': [
    query(
      `begin; select lo_from_bytea(${number}, '\\x0001ff'); select lo_put(${number}, 5, 'later')`,
    ),
    turn(1, batch(`select lo_get(${number}, 2, 9)`), raw.sync()),
    query(`select lo_open(${number}, 262144); select loread(0, 4), lo_tell(0)`),
    query('rollback'),
    query(`select lo_get(${number})`),
  ],
}

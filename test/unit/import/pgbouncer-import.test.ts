import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { loadConfig } from '../../../pooler/config/load-config.ts'
import { ImportError } from '../../../pooler/import/imported-tenant.ts'
import { readPgbouncer } from '../../../pooler/import/pgbouncer-import.ts'

const scram = `SCRAM-SHA-256$4096:${'A'.repeat(24)}$${'B'.repeat(44)}:${'C'.repeat(44)}`

const read = (ini: string, userList: string | null = null) =>
  readPgbouncer({ ini, userList, serverCa: null })

const section = (...lines: string[]): string => `[pgbouncer]\n${lines.join('\n')}\n`

test('each database is a project with its limits and the roles of auth_file', () => {
  const { tenants, settings, notes } = read(
    `; a comment
[databases]
shop = host=db1.example.com port=5433 dbname=shop_live pool_size=30 max_db_connections=60
"weird name" = host=db2.example.com
billing=host=10.0.0.5 min_pool_size=2
[pgbouncer]
listen_addr = *
listen_port = 6432
default_pool_size = 15
max_client_conn = 500
query_wait_timeout = 30
server_tls_sslmode = verify-full
client_tls_sslmode = require
server_lifetime = 1800
`,
    `"app" "it""s"\n"hashed" "md5${'0'.repeat(32)}"\n"new" "${scram}"\n; "not" "me"\n`,
  )
  expect(tenants).toEqual([
    {
      ref: 'shop',
      fields: {
        db_host: 'db1.example.com',
        db_port: 5433,
        db_database: 'shop_live',
        default_pool_size: 30,
        default_min_pool_size: 0,
        max_server_connections: 60,
        default_max_clients: 500,
        client_idle_timeout: 0,
        enforce_ssl: true,
        upstream_ssl: true,
        upstream_verify: 'verify-full',
        require_user: true,
        users: [{ db_user: 'app', db_password: 'it"s', pool_checkout_timeout: 30_000 }],
      },
    },
    {
      ref: 'billing',
      fields: expect.objectContaining({
        db_host: '10.0.0.5',
        db_port: 5432,
        db_database: 'billing',
        default_pool_size: 15,
        default_min_pool_size: 2,
        max_server_connections: null,
      }),
    },
  ])
  expect(settings).toEqual([
    'PROXY_HOST=',
    'PROXY_PORT_TRANSACTION=6432',
    'CLIENTS_MAX=500',
    'SERVER_LIFETIME_MS=1800000',
  ])
  expect(notes.join('\n')).toContain('hashes of "hashed", "new" in auth_file')
  expect(notes.join('\n')).toContain(
    'weird name: no ref for a project, since it has a dot or a space',
  )
})

test('an auth_query is taken over with its manager', () => {
  const { tenants } = read(
    `[databases]\nshop = host=db\n${section('auth_user = looker', 'auth_query = SELECT 1, 2 WHERE $1 = $1')}`,
    '"looker" "secret"',
  )
  expect(tenants[0]?.fields).toMatchObject({
    require_user: false,
    auth_query: 'SELECT 1, 2 WHERE $1 = $1',
    users: [{ db_user: 'looker', db_password: 'secret', is_manager: true }],
  })
})

test('a database with a user of its own has that role', () => {
  const { tenants, notes } = read(`[databases]\nshop = host=db user=app password='a ''b'' c'`)
  expect(tenants[0]?.fields.users).toMatchObject([{ db_user: 'app', db_password: "a 'b' c" }])
  expect(notes.join()).toContain('clients log in as that role here')
})

test('limits of [users] are those of the roles, and what has no counterpart is said', () => {
  const { tenants, notes } = read(
    `[databases]
shop = host=db timezone=UTC reserve_pool_size=3
[users]
app = pool_size=7 max_user_client_connections=50 pool_mode=session
other = pool_size=3
[peers]
1 = host=/tmp
${section('reserve_pool_size = 5', 'max_user_connections=9', 'logfile = /tmp/log', 'server_reset_query = DISCARD ALL')}`,
    '"app" "secret"',
  )
  expect(tenants[0]?.fields.users).toMatchObject([
    { db_user: 'app', pool_size: 7, max_clients: 50 },
  ])
  const said = notes.filter((note) => !note.includes('pool_mode session'))
  expect(said).toEqual([
    '[pgbouncer]: reserve_pool_size, max_user_connections is not taken over',
    '[peers]: 1 is not taken over',
    '[users] app: pool_mode is not taken over',
    'shop: timezone, reserve_pool_size is not taken over',
    'shop: server_tls_sslmode prefer: plain here; set upstream_ssl to use TLS always',
    'shop: limits of "other" in [users]: PUT those roles with them',
  ])
})

test.each([
  ['* = host=db', 'it stands for every database'],
  ['shop = dbname=shop', 'a Unix socket'],
  ['shop = host=/run/postgresql', 'a Unix socket'],
  ['shop = host=a,b', 'several hosts'],
])('%s is a note, and the others go on', (line, note) => {
  const { tenants, notes } = read(`[databases]\n${line}\nother = host=db`)
  expect(tenants.map(({ ref }) => ref)).toEqual(['other'])
  expect(notes.join('\n')).toContain(note)
})

test.each([
  ['', 'there is no [databases]'],
  ['[databases]', 'there is no [databases]'],
  ['shop = host=db', 'line 1: outside of any section'],
  ['[databases]\nshop', 'line 2: no key = value'],
  ['%include other.ini', 'line 1: %include'],
  ['[databases]\nshop = host=db port=many', 'shop port: "many" is no number'],
  ["[databases]\nshop = host='db", 'shop: unreadable from'],
  [
    '[databases]\nshop = host=db\n[pgbouncer]\nquery_wait_timeout = 2min',
    'query_wait_timeout: "2min"',
  ],
])('%j cannot be used, and the reason says where', (ini, reason) => {
  expect(() => read(ini)).toThrow(ImportError)
  expect(() => read(ini)).toThrow(reason)
})

const needed = {
  DATABASE_URL: 'postgres://u:p@127.0.0.1/x',
  API_JWT_SECRET: randomBytes(24).toString('hex'),
  VAULT_ENC_KEY: randomBytes(32).toString('hex'),
}

const settingsOf = (...lines: string[]) => {
  const { settings, notes } = read(`[databases]\nshop = host=db\n${section(...lines)}`)
  // Of databases there are others.
  return { settings, notes: notes.filter((note) => !note.startsWith('shop: ')) }
}

test.each([
  ['server_lifetime = 0.5', 'SERVER_LIFETIME_MS takes 0 (off), 1000 to 86400000; it stays 3600000'],
  ['server_lifetime = 200000', 'SERVER_LIFETIME_MS takes'],
  ['server_lifetime = 0', 'each server was used once, and 0 keeps them for ever here'],
  ['server_lifetime = 0.0', 'each server was used once'],
  ['server_idle_timeout = 604800', 'SERVER_IDLE_TIMEOUT_MS takes'],
  ['server_connect_timeout = 0', 'SERVER_CONNECT_TIMEOUT_MS takes 1 to'],
  ['client_login_timeout = 0', 'CLIENT_LOGIN_TIMEOUT_MS takes 1 to'],
  ['client_login_timeout = 1min', '"1min": CLIENT_LOGIN_TIMEOUT_MS takes'],
  ['query_timeout = -1', 'QUERY_TIMEOUT_MS takes 0 (off)'],
  ['max_client_conn = 0', 'CLIENTS_MAX takes 1 to 1000000; it stays 10000'],
  ['max_client_conn = 5000000', 'CLIENTS_MAX takes 1 to 1000000'],
  [
    'listen_addr = 127.0.0.1, 10.0.0.1',
    'PROXY_HOST takes an IP address or host name; it stays unset',
  ],
  ['listen_addr = 0.0.0.0,::', 'PROXY_HOST takes'],
])('%s has no setting that corresponds, and a note says why', (line, note) => {
  const { settings, notes } = settingsOf(line)
  expect(settings).toEqual([])
  expect(notes).toEqual([expect.stringContaining(note)])
})

test.each([
  ['listen_addr = *', 'PROXY_HOST='],
  ['listen_addr = localhost', 'PROXY_HOST=localhost'],
  ['server_idle_timeout = 0', 'SERVER_IDLE_TIMEOUT_MS=0'],
  ['client_idle_timeout = 0', 'CLIENT_IDLE_TIMEOUT_MS=0'],
  ['query_timeout = 1.5', 'QUERY_TIMEOUT_MS=1500'],
  ['query_timeout = 0.0001', 'QUERY_TIMEOUT_MS=1'],
  ['idle_transaction_timeout = 0', 'CLIENT_IDLE_IN_TRANSACTION_TIMEOUT_MS=0'],
])('%s is a setting that can be used', (line, setting) => {
  expect(settingsOf(line)).toEqual({ settings: [setting], notes: [] })
  const [, name = '', value] = /^(\w+)=(.*)$/.exec(setting) ?? []
  expect(() => loadConfig({ ...needed, [name]: value })).not.toThrow()
})

test('prepared statements that were switched off stay on', () => {
  expect(settingsOf('max_prepared_statements = 0')).toEqual({ settings: [], notes: [] })
})

test('a listen_port that another port has unless it is set', () => {
  const { settings, notes } = settingsOf('listen_port = 5432')
  expect(settings).toEqual(['PROXY_PORT_TRANSACTION=5432'])
  expect(notes).toEqual([expect.stringContaining('PROXY_PORT_SESSION is that unless you set it')])
})

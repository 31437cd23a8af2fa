// Every setting: its kind, its default and one line for the person who sets it. The loader, the
// type Config and the table in README.md come from here. A new setting is one new entry.
import {
  baseUrl,
  byteSize,
  claim,
  clientSecret,
  databaseUrl,
  domain,
  duration,
  encryptionKey,
  flag,
  guardedUrl,
  jwtSecret,
  type Kind,
  listenAddress,
  networks,
  oneOf,
  password,
  path,
  port,
  roleName,
  share,
  webhookUrl,
  wholeNumber,
} from './setting-kinds.ts'

export interface Setting<Value> {
  readonly kind: Kind<Value>
  /** As one would write it; null: unset, and the value is null. */
  readonly defaultText: string | null
  readonly doc: string
}

interface Defaulted<Value> extends Setting<Value> {
  readonly defaultText: string
}

interface Optional<Value> extends Setting<Value> {
  readonly defaultText: null
}

const setting = <Value>(kind: Kind<Value>, defaultText: string, doc: string): Defaulted<Value> => ({
  kind,
  defaultText,
  doc,
})

const optional = <Value>(kind: Kind<Value>, doc: string): Optional<Value> => ({
  kind,
  defaultText: null,
  doc,
})

export const settings = {
  PORT: setting(port, '4000', 'Port of the API and `/metrics`.'),
  API_HOST: setting(listenAddress, '127.0.0.1', 'Address that the API listens on.'),
  API_TLS: setting(flag, 'false', 'Serves the API over TLS with the certificate below.'),
  API_TRUSTED_PROXIES: setting(
    networks,
    '',
    "Peers whose `X-Forwarded-For` the API believes; empty: nobody's.",
  ),
  PROXY_HOST: optional(
    listenAddress,
    'Address that the Postgres ports listen on; unset: all, or loopback with the embedded Postgres.',
  ),
  PROXY_PORT_TRANSACTION: setting(port, '6543', 'Postgres port, transaction mode.'),
  PROXY_PORT_SESSION: setting(
    port,
    '5432',
    'Postgres port, session mode; direct for `db.<ref>.<POOLER_DOMAIN>`.',
  ),
  PROXY_PROTOCOL_TRUSTED: setting(
    networks,
    '',
    'Load balancers: from them a PROXY header (v1, v2) is required on the Postgres ports, and believed.',
  ),
  ADMIN_USER: setting(roleName, 'latchkey', 'User of the console, database `latchkey`.'),
  ADMIN_PASSWORD: optional(password, 'Its password; unset: there is no such user.'),
  STATS_USER: setting(roleName, 'stats', 'User of the console who may SHOW only.'),
  STATS_PASSWORD: optional(password, 'Its password; unset: there is no such user.'),
  ADMIN_ALLOWED_NETWORKS: setting(
    networks,
    '127.0.0.0/8, ::1',
    'Where users of the console may come from.',
  ),
  POOLER_DOMAIN: optional(
    domain,
    'Domain whose names `<ref>.…` and `db.<ref>.…` identify a project by TLS server name.',
  ),

  DATABASE_URL: optional(
    databaseUrl,
    'Postgres for the metadata; unset: an embedded one is started.',
  ),
  LATCHKEY_HOME: setting(path, '.latchkey', 'Folder of the embedded Postgres and its secrets.'),
  API_JWT_SECRET: optional(
    jwtSecret,
    'Checks the HS256 tokens of `/api`; required with `DATABASE_URL`.',
  ),
  API_JWT_SECRET_PREVIOUS: optional(jwtSecret, 'Accepted as well, while the secret is replaced.'),
  METRICS_JWT_SECRET: optional(
    jwtSecret,
    'Checks the tokens of `/metrics`; unset: loopback only, without a token.',
  ),
  METRICS_JWT_SECRET_PREVIOUS: optional(
    jwtSecret,
    'Accepted as well, while the secret is replaced.',
  ),
  VAULT_ENC_KEY: optional(
    encryptionKey,
    'Seals stored passwords (AES-256-GCM); required with `DATABASE_URL`.',
  ),
  VAULT_ENC_KEY_PREVIOUS: optional(
    encryptionKey,
    'Opens what the key before sealed, while it is replaced.',
  ),

  GLOBAL_DOWNSTREAM_CERT_PATH: optional(
    path,
    "Clients' TLS: PEM certificate chain, or a folder of pairs chosen by server name.",
  ),
  GLOBAL_DOWNSTREAM_KEY_PATH: optional(
    path,
    'PEM key of that certificate; with a folder, the same folder.',
  ),
  GLOBAL_UPSTREAM_CA_PATH: optional(
    path,
    "PEM authority of databases' certificates, where the project names none.",
  ),
  ALLOW_INSECURE_LOOPBACK_TOKENS: setting(
    flag,
    'false',
    'Takes tokens without TLS from loopback clients.',
  ),

  CLIENT_LOGIN_TIMEOUT_MS: setting(duration(1), '15000', 'From accept to the end of the login.'),
  CLIENT_IDLE_TIMEOUT_MS: setting(duration(1, true), '0', 'Closes a client that does nothing.'),
  CLIENT_IDLE_IN_TRANSACTION_TIMEOUT_MS: setting(
    duration(1, true),
    '0',
    'Closes a client that leaves a transaction open, a batch without its Sync, or copy data without their end.',
  ),
  CLIENT_SEND_TIMEOUT_MS: setting(
    duration(1, true),
    '30000',
    'Closes a client in transaction mode that holds a server and takes no byte.',
  ),
  QUERY_WAIT_NOTIFY_MS: setting(
    duration(1, true),
    '5000',
    'Tells a client that waits longer for a server its place in the queue, as a NOTICE.',
  ),
  QUERY_TIMEOUT_MS: setting(
    duration(1, true),
    '0',
    'Cancels what a client waits for longer: a Query, a batch up to its Sync, what is in front of a Flush. A replication stream is none.',
  ),
  SERVER_CONNECT_TIMEOUT_MS: setting(duration(1), '5000', 'TCP connect, for each address.'),
  SERVER_LOGIN_TIMEOUT_MS: setting(duration(1), '15000', 'Login to a database, TLS included.'),
  SERVER_RESET_TIMEOUT_MS: setting(
    duration(1),
    '5000',
    'Reset of a server between clients; beyond it the server is discarded.',
  ),
  SERVER_SILENCE_PROBE_MS: setting(
    duration(1000, true),
    '60000',
    'A server that owes a reply and is silent for so long is looked at over a second connection, and given up if it is idle there or out of reach.',
  ),
  SERVER_IDLE_TIMEOUT_MS: setting(duration(1, true), '600000', 'Closes a server that nobody uses.'),
  SERVER_LIFETIME_MS: setting(
    duration(1000, true),
    '3600000',
    'Replaces a server of this age, spread in time.',
  ),
  POOL_IDLE_TIMEOUT_MS: setting(duration(1), '120000', 'Ends a pool whose last client has gone.'),

  POOLER_WORKERS: setting(
    wholeNumber({ min: 1, max: 64 }),
    '1',
    'Processes that serve clients, best one for each core; pools keep their size over all of them.',
  ),
  CLIENTS_MAX: setting(
    wholeNumber({ min: 1, max: 1_000_000 }),
    '10000',
    'Clients of all workers together; the limit of open files may lower it.',
  ),
  POOLS_PER_TENANT_MAX: setting(
    wholeNumber({ min: 1, max: 100_000 }),
    '200',
    'Pools (role, database, mode) of one project.',
  ),
  POOL_WAITERS_MAX: setting(
    wholeNumber({ min: 1, max: 1_000_000 }),
    '10000',
    'Clients that may wait for a server of one pool.',
  ),
  CLIENT_PREPARED_STATEMENTS_MAX: setting(
    wholeNumber({ min: 1, max: 1_000_000 }),
    '5000',
    'Named prepared statements of one client in transaction mode.',
  ),
  CLIENT_NOTIFICATION_BYTES_MAX: setting(
    wholeNumber({ min: 16_384, max: 1_073_741_824 }),
    '1048576',
    'Bytes of notifications that wait for one client in transaction mode; beyond it the client is closed.',
  ),
  SERVER_PREPARED_STATEMENTS_MAX: setting(
    wholeNumber({ min: 1, max: 1_000_000 }),
    '500',
    'Prepared statements kept on one server; beyond it the least recently used is closed.',
  ),
  POOLER_STATE_CHECK: setting(
    oneOf('suspect', 'always'),
    'suspect',
    'After which transactions a server is asked what session state they left: those whose text or replies are suspect, or every one (two round trips each).',
  ),
  JIT_POOL_SHARE: setting(
    share,
    '0.5',
    "Share of a role's servers that people with tokens may hold; at least one.",
  ),
  API_PUBLIC_URL: optional(
    baseUrl,
    'Where people reach the API, for links in invitations; unset: the address that the inviting request used, with `INVITE_WEBHOOK_URL` only a name of the certificate or this machine.',
  ),
  INVITE_WEBHOOK_URL: optional(
    webhookUrl,
    'Called with each invitation, to be mailed; the link is then in no answer.',
  ),
  EVENT_WEBHOOK_URL: optional(
    webhookUrl,
    'Called with the events of the record, as they are written.',
  ),
  WEBHOOK_SECRET: optional(
    jwtSecret,
    'Signs webhooks as the Standard Webhooks convention has it; required with a webhook URL.',
  ),

  UPSTREAM_ALLOWED_NETWORKS: setting(
    networks,
    '',
    'Networks that databases of projects may be in, checked after the name is resolved; empty: any.',
  ),
  MEMORY_SOFT_LIMIT: setting(byteSize, '0', 'Resident memory above which new logins are refused.'),

  AUTH_JWKS_URL: optional(
    guardedUrl,
    'Public keys of an identity provider whose JWTs are taken as tokens; only with the next two.',
  ),
  AUTH_ISSUER: optional(guardedUrl, '`iss` of its JWTs, letter by letter.'),
  AUTH_AUDIENCE: optional(claim, '`aud` of its JWTs, or one of them.'),
  AUTH_CLIENT_ID: optional(
    claim,
    'Name of the dashboard at the provider: people can sign in there; its redirect address is `/auth/callback`.',
  ),
  AUTH_CLIENT_SECRET: optional(
    clientSecret,
    'Its secret, where the provider gave it one; PKCE is used either way.',
  ),
  ACCESS_BLIND_MAX_MS: setting(
    duration(1000, true),
    '300000',
    'Live sessions of people end when it could not be confirmed for so long that they still may.',
  ),
  ATTRIBUTION: setting(
    oneOf('email', 'user_id'),
    'email',
    'What names a person in `application_name` of the servers that they use, before ` via latchkey`.',
  ),
  JIT_RECHECK_MS: setting(
    duration(1000),
    '60000',
    'How often an outside authoriser (`jit_api_url`) is asked again about each person who is in.',
  ),
  POOLER_FAST_IO: setting(
    oneOf('auto', 'off'),
    'auto',
    "auto: plain TCP past Node's streams, where a self-test at start finds that it works.",
  ),
  RULE_EXPIRY_REQUIRED: setting(flag, 'false', 'Refuses rules of temporary access without an end.'),
  AUDIT_RETENTION_DAYS: setting(
    wholeNumber({ min: 1, max: 36_500 }),
    '400',
    'Days that events are kept.',
  ),

  DRAIN_DELAY_MS: setting(
    duration(0),
    '0',
    'After SIGTERM: time in which clients are still accepted, for load balancers to notice.',
  ),
  DRAIN_TIMEOUT_MS: setting(
    duration(0),
    '25000',
    'After that: time that transactions have to finish; below the 30 s after which most supervisors kill.',
  ),
  LOG_LEVEL: setting(
    oneOf('debug', 'info', 'warn', 'error'),
    'info',
    'Least level that is logged.',
  ),
  LOG_FORMAT: setting(
    oneOf('auto', 'json', 'text'),
    'auto',
    'auto: text when a terminal looks, else JSON lines.',
  ),
} as const satisfies Record<string, Setting<unknown>>

export type SettingName = keyof typeof settings
export const settingNames = Object.keys(settings) as SettingName[]

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<Camel<Tail>>}`
  : Lowercase<Name>

type ValueOf<Of> =
  Of extends Defaulted<infer Value>
    ? Value
    : Of extends Optional<infer Value>
      ? Value | null
      : never

/** `CLIENT_LOGIN_TIMEOUT_MS` is `config.clientLoginTimeoutMs`, and so on. */
export type Config = {
  readonly [Name in SettingName as Camel<Name>]: ValueOf<(typeof settings)[Name]>
}

export function configKeyOf(name: SettingName): keyof Config {
  return name
    .toLowerCase()
    .replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase()) as keyof Config
}

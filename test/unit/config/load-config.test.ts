import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { ConfigError, type Environment, loadConfig } from '../../../pooler/config/load-config.ts'
import { configKeyOf, settingNames, settings } from '../../../pooler/config/settings.ts'

const goodKey = 'q7Zr2mXw9LbT4vKc8NsD1hGf6JpY3eRa'
const otherKey = '5d41402abc4b2a76b9719d911017c592ae8f1c03d7b6e4920f8a3c5e7d19b264'
const goodSecret = 'uB6hRz-1xQe8Lw3vTn5kYc7mPa0sJd2g'
const withDatabase: Environment = {
  DATABASE_URL: 'postgres://latchkey:hunter2@db.example:5432/meta',
  API_JWT_SECRET: goodSecret,
  VAULT_ENC_KEY: goodKey,
}

function faultsOf(env: Environment): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

test('an empty environment gives the documented defaults', () => {
  const config = loadConfig({})
  expect(config.port).toBe(4000)
  expect(config.proxyPortTransaction).toBe(6543)
  expect(config.proxyPortSession).toBe(5432)
  expect(config.clientLoginTimeoutMs).toBe(15_000)
  expect(config.jitPoolShare).toBe(0.5)
  expect(config.databaseUrl).toBeNull()
  expect(config.apiTls).toBe(false)
})

test('every setting arrives under its camel-case key', () => {
  const config = loadConfig({})
  expect(Object.keys(config)).toEqual(settingNames.map(configKeyOf))
  expect(configKeyOf('CLIENT_IDLE_IN_TRANSACTION_TIMEOUT_MS')).toBe(
    'clientIdleInTransactionTimeoutMs',
  )
})

test('every default is allowed by its own kind', () => {
  for (const name of settingNames) {
    const { kind, defaultText } = settings[name]
    if (defaultText !== null) expect(kind.parse(defaultText), name).toHaveProperty('value')
  }
})

test('the object is frozen', () => {
  const config = loadConfig({}) as { port: number }
  expect(() => {
    config.port = 1
  }).toThrow(TypeError)
})

test('an empty or blank variable counts as unset', () => {
  expect(loadConfig({ PORT: '', API_JWT_SECRET: '  ' }).port).toBe(4000)
})

test('white space around an open value is no fault, around a secret it is', () => {
  expect(loadConfig({ PORT: ' 4100 ' }).port).toBe(4100)
  expect(faultsOf({ API_JWT_SECRET: `${goodSecret}\n` })).toEqual([
    expect.stringContaining('white space around it'),
  ])
})

test('all faults are told at once, with name, given shape and allowed range', () => {
  const faults = faultsOf({
    PORT: '70000',
    CLIENT_LOGIN_TIMEOUT_MS: 'soon',
    JIT_POOL_SHARE: '1.5',
    LOG_LEVEL: 'loud',
    API_HOST: 'not a host',
    AUDIT_RETENTION_DAYS: '0',
  })
  expect(faults).toEqual([
    'PORT: given "70000" (not in the allowed range); allowed: 1 to 65535, 0 (any free port)',
    'API_HOST: given "not a host" (not an address); allowed: an IP address or host name',
    'CLIENT_LOGIN_TIMEOUT_MS: given "soon" (not a whole number); allowed: 1 to 86400000',
    'JIT_POOL_SHARE: given "1.5" (not in the allowed range); allowed: 0 to 1',
    'AUDIT_RETENTION_DAYS: given "0" (not in the allowed range); allowed: 1 to 36500',
    'LOG_LEVEL: given "loud" (not one of them); allowed: debug, info, warn, error',
  ])
})

test('a negative number is refused, and 0 only turns off what may be off', () => {
  expect(faultsOf({ CLIENT_IDLE_TIMEOUT_MS: '-1', SERVER_CONNECT_TIMEOUT_MS: '0' })).toHaveLength(2)
  expect(loadConfig({ CLIENT_IDLE_TIMEOUT_MS: '0' }).clientIdleTimeoutMs).toBe(0)
})

test.each(['1e3', '0x10', '10.5', 'Infinity', '99999999999999999999'])(
  'the number %s is refused',
  (text) => expect(faultsOf({ CLIENTS_MAX: text })).toHaveLength(1),
)

test('a size takes the units of postgresql.conf', () => {
  expect(loadConfig({ MEMORY_SOFT_LIMIT: '512MB' }).memorySoftLimit).toBe(512 * 1024 * 1024)
  expect(loadConfig({ MEMORY_SOFT_LIMIT: '1gb' }).memorySoftLimit).toBe(1024 ** 3)
  expect(faultsOf({ MEMORY_SOFT_LIMIT: '1MB' })).toHaveLength(1)
  expect(faultsOf({ MEMORY_SOFT_LIMIT: '1 TB' })).toHaveLength(1)
})

test('networks come as a list that cannot be changed', () => {
  const { apiTrustedProxies } = loadConfig({ API_TRUSTED_PROXIES: '10.0.0.0/8, ::1 ,192.0.2.1,' })
  expect(apiTrustedProxies).toEqual(['10.0.0.0/8', '::1', '192.0.2.1'])
  expect(() => (apiTrustedProxies as string[]).push('x')).toThrow(TypeError)
  expect(loadConfig({}).apiTrustedProxies).toEqual([])
})

test.each(['10.0.0.0/33', '::/129', '10.0.0', 'localhost', 'fe80::1%eth0', '1.1.1.1/8/8', '::/'])(
  '%s is no network',
  (text) => expect(faultsOf({ API_TRUSTED_PROXIES: `::1,${text}` })).toHaveLength(1),
)

test('neither a fault nor the printed config shows a secret', () => {
  const secrets = { API_JWT_SECRET: 'short-one', VAULT_ENC_KEY: 'not-a-key-either' }
  const told = faultsOf({ ...secrets, DATABASE_URL: 'mysql://root:hunter2@h/d' }).join('\n')
  for (const text of [...Object.values(secrets), 'hunter2']) expect(told).not.toContain(text)
  const config = loadConfig(withDatabase)
  const printed = `${inspect(config, { depth: 9, showHidden: true })} ${JSON.stringify(config)}`
  for (const text of [goodKey, goodSecret, 'hunter2']) expect(printed).not.toContain(text)
  expect(config.vaultEncKey?.reveal()).toBe(goodKey)
})

test('a long value is cut in the fault', () => {
  expect(faultsOf({ PORT: 'x'.repeat(10_000) })[0]?.length).toBeLessThan(200)
})

test('with DATABASE_URL the secrets have no default', () => {
  const faults = faultsOf({ DATABASE_URL: withDatabase.DATABASE_URL })
  expect(faults.map((fault) => fault.split(':')[0])).toEqual(['API_JWT_SECRET', 'VAULT_ENC_KEY'])
  expect(faultsOf(withDatabase)).toEqual([])
})

test.each([
  ['VAULT_ENC_KEY', 'aHD8DZRdk2emnkdktFZRh3E9RNg4aOY7'],
  ['VAULT_ENC_KEY', 'your-encryption-key-32-chars-min'],
  ['VAULT_ENC_KEY', '0'.repeat(64)],
  ['API_JWT_SECRET', 'your-super-secret-jwt-token-with-at-least-32-characters-long'],
  ['METRICS_JWT_SECRET', 'ab'.repeat(32)],
])('%s does not take the known value %s', (name, text) => {
  expect(faultsOf({ [name]: text })).toHaveLength(1)
})

test('an encryption key is 32 characters or 64 hex digits', () => {
  expect(faultsOf({ VAULT_ENC_KEY: otherKey })).toEqual([])
  expect(faultsOf({ VAULT_ENC_KEY: goodKey.slice(1) })).toHaveLength(1)
  expect(faultsOf({ VAULT_ENC_KEY: `é${goodKey.slice(1)}` })).toHaveLength(1)
})

test('a previous secret needs a present one that differs', () => {
  expect(faultsOf({ VAULT_ENC_KEY_PREVIOUS: goodKey })).toHaveLength(1)
  expect(faultsOf({ VAULT_ENC_KEY: goodKey, VAULT_ENC_KEY_PREVIOUS: goodKey })).toHaveLength(1)
  expect(faultsOf({ VAULT_ENC_KEY: otherKey, VAULT_ENC_KEY_PREVIOUS: goodKey })).toEqual([])
})

test('certificate and key come as a pair, and the API needs them for TLS', () => {
  const cert = { GLOBAL_DOWNSTREAM_CERT_PATH: '/tls/cert.pem' }
  const key = { GLOBAL_DOWNSTREAM_KEY_PATH: '/tls/key.pem' }
  expect(faultsOf(cert)).toEqual([expect.stringMatching(/^GLOBAL_DOWNSTREAM_KEY_PATH: not given/)])
  expect(faultsOf(key)).toEqual([expect.stringMatching(/^GLOBAL_DOWNSTREAM_CERT_PATH: not given/)])
  expect(faultsOf({ API_TLS: 'yes' })).toEqual([expect.stringMatching(/^API_TLS:/)])
  expect(faultsOf({ ...cert, ...key, API_TLS: 'true' })).toEqual([])
})

test('two listeners cannot be given one port, unless it is any free one', () => {
  expect(faultsOf({ PORT: '6543' })).toHaveLength(1)
  expect(faultsOf({ PORT: '0', PROXY_PORT_SESSION: '0', PROXY_PORT_TRANSACTION: '0' })).toEqual([])
})

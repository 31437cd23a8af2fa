// Reads the environment once, checks it together and answers a frozen object or all its faults.
import {
  type Config,
  configKeyOf,
  type Setting,
  type SettingName,
  settingNames,
  settings,
} from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** What an operator got wrong; `faults` has one line for each, none with a secret in it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`The settings cannot be used:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.faults = faults
  }
}

/** An empty variable counts as unset, as compose files and shells produce it. Throws ConfigError. */
export function loadConfig(env: Environment): Config {
  const faults: string[] = []
  const values: Record<string, unknown> = {}
  for (const name of settingNames) {
    const read = readSetting(name, env)
    if ('fault' in read) faults.push(read.fault)
    else values[configKeyOf(name)] = read.value
  }
  faults.push(...faultsBetween(env))
  if (faults.length > 0) throw new ConfigError(faults)
  // Values are numbers, strings, booleans, frozen lists, and Secret, which has no field to change.
  return Object.freeze(values) as Config
}

type Read = { readonly value: unknown } | { readonly fault: string }

function readSetting(name: SettingName, env: Environment): Read {
  const { kind, defaultText }: Setting<unknown> = settings[name]
  const given = env[name]
  const text = isGiven(name, env) ? given : defaultText
  if (text === null || text === undefined) return { value: null }
  const parsed = kind.parse(kind.isSecret ? text : text.trim())
  if ('value' in parsed) return parsed
  const shape = kind.isSecret
    ? `a secret of ${text.length} characters`
    : JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
  return { fault: `${name}: given ${shape} (${parsed.fault}); allowed: ${kind.allowed}` }
}

const isGiven = (name: SettingName, env: Environment): boolean => (env[name] ?? '').trim() !== ''

const replaceable = ['API_JWT_SECRET', 'METRICS_JWT_SECRET', 'VAULT_ENC_KEY'] as const
const identityProvider = ['AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'] as const
const ports = ['PORT', 'PROXY_PORT_TRANSACTION', 'PROXY_PORT_SESSION'] as const

/** What single settings cannot tell: pairs, and what one of them makes necessary. */
function faultsBetween(env: Environment): string[] {
  const has = (name: SettingName) => isGiven(name, env)
  const faults: string[] = []
  for (const [one, other] of [
    ['GLOBAL_DOWNSTREAM_CERT_PATH', 'GLOBAL_DOWNSTREAM_KEY_PATH'],
    ['GLOBAL_DOWNSTREAM_KEY_PATH', 'GLOBAL_DOWNSTREAM_CERT_PATH'],
  ] as const) {
    if (has(one) && !has(other))
      faults.push(`${other}: not given, but ${one} is; allowed: both or neither`)
  }
  if (has('DATABASE_URL')) {
    for (const name of ['API_JWT_SECRET', 'VAULT_ENC_KEY'] as const) {
      if (!has(name)) {
        faults.push(`${name}: not given; with DATABASE_URL allowed: ${settings[name].kind.allowed}`)
      }
    }
  }
  for (const name of replaceable) {
    const previous = `${name}_PREVIOUS` as const
    if (!has(previous)) continue
    if (!has(name))
      faults.push(`${previous}: given, but ${name} is not; allowed: with ${name} only`)
    else if (env[previous] === env[name]) {
      faults.push(`${previous}: equal to ${name}; allowed: the secret that was in use before`)
    }
  }
  const missing = identityProvider.filter((name) => !has(name))
  if (missing.length < identityProvider.length) {
    for (const name of missing) {
      faults.push(`${name}: not given; allowed: all of ${identityProvider.join(', ')}, or none`)
    }
  }
  for (const [name, needed] of [
    ['AUTH_CLIENT_ID', 'AUTH_ISSUER'],
    ['AUTH_CLIENT_SECRET', 'AUTH_CLIENT_ID'],
  ] as const) {
    if (has(name) && !has(needed)) {
      faults.push(`${name}: given, but ${needed} is not; allowed: with ${needed} only`)
    }
  }
  const webhook = webhooks.find(has)
  if (webhook !== undefined && !has('WEBHOOK_SECRET')) {
    const { allowed } = settings.WEBHOOK_SECRET.kind
    faults.push(`WEBHOOK_SECRET: not given; with ${webhook} allowed: ${allowed}`)
  }
  const isTlsOn = /^(true|on|yes|1)$/i.test((env.API_TLS ?? '').trim())
  if (isTlsOn && !has('GLOBAL_DOWNSTREAM_CERT_PATH')) {
    faults.push(
      'API_TLS: given true without a certificate; allowed: with GLOBAL_DOWNSTREAM_CERT_PATH',
    )
  }
  return [...faults, ...portFaults(env)]
}

const webhooks = ['INVITE_WEBHOOK_URL', 'EVENT_WEBHOOK_URL'] as const

function portFaults(env: Environment): string[] {
  const takenBy = new Map<string, SettingName>()
  const faults: string[] = []
  for (const name of ports) {
    const text = isGiven(name, env) ? String(env[name]).trim() : settings[name].defaultText
    const other = takenBy.get(text)
    if (other !== undefined && text !== '0') {
      faults.push(`${name}: given ${text}, as is ${other}; allowed: a port of its own`)
    }
    takenBy.set(text, name)
  }
  return faults
}

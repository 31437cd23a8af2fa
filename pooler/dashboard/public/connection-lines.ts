// What to paste into which program, for a role, with a password or with a token. There is never a
// secret in it. Pure.

export const drivers = ['psql', 'url', 'pg', 'postgres.js', 'jdbc'] as const
export type Driver = (typeof drivers)[number]

export const driverNames: Readonly<Record<Driver, string>> = {
  psql: 'psql',
  url: 'URL',
  pg: 'Node: pg',
  'postgres.js': 'Node: postgres',
  jdbc: 'JDBC',
}

export interface Connection {
  /** Without the project. */
  readonly role: string
  readonly ref: string
  readonly host: string
  readonly port: number
  readonly database: string
  readonly with: 'password' | 'token'
}

/** libpq reads no `+` as a blank. */
const jitOption = 'options=-c%20jit%3Don'

export function connectionLine(driver: Driver, connection: Connection): string {
  const { role, ref, host, port, database } = connection
  const isToken = connection.with === 'token'
  const user = `${role}.${ref}`
  const secret = isToken ? 'TOKEN' : 'PASSWORD'
  const bare = `${bracketed(host)}:${port}/${encodeURIComponent(database)}`
  const url = `postgres://${encodeURIComponent(user)}@${bare}?sslmode=require${isToken ? `&${jitOption}` : ''}`
  switch (driver) {
    case 'psql':
      return `psql ${shellQuoted(url)}`
    case 'url':
      return url
    case 'pg':
      return objectText('new pg.Client', [
        ['host', host],
        ['port', port],
        ['user', user],
        ['password', { code: `process.env.${secret}` }],
        ['database', database],
        ['ssl', { code: 'true' }],
        ...(isToken ? ([['options', '-c jit=on']] as const) : []),
      ])
    case 'postgres.js':
      return objectText('postgres', [
        ['host', host],
        ['port', port],
        ['username', user],
        ['password', { code: `process.env.${secret}` }],
        ['database', database],
        ['ssl', 'require'],
        ...(isToken ? ([['connection', { code: "{ options: '-c jit=on' }" }]] as const) : []),
      ])
    case 'jdbc': {
      const options = isToken ? '&options=-c%20jit=on' : ''
      return `jdbc:postgresql://${bare}?user=${encodeURIComponent(user)}&sslmode=require${options}`
    }
  }
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** One word for a shell, whatever a role or database is called. */
const shellQuoted = (text: string): string =>
  /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`

type Value = string | number | { readonly code: string }

function objectText(call: string, fields: readonly (readonly [string, Value])[]): string {
  const textOf = (value: Value): string => {
    if (typeof value === 'number') return String(value)
    if (typeof value === 'object') return value.code
    return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  }
  const lines = fields.map(([name, value]) => `  ${name}: ${textOf(value)},`)
  return `${call}({\n${lines.join('\n')}\n})`
}

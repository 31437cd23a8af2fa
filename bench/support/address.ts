/** Where a client logs in, and as whom. Has the shape of pg's own client options. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** Of the startup packet; what says that the password is a token. */
  readonly options?: string
}

/** libpq's variables, so that no password stands in an argument list. */
export const libpqEnvironment = (address: Address): Record<string, string> => ({
  PGHOST: address.host,
  PGPORT: String(address.port),
  PGUSER: address.user,
  PGPASSWORD: address.password,
  PGDATABASE: address.database,
  PGSSLMODE: 'disable',
})
